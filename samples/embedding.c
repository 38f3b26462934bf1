/* SPDX-License-Identifier: MIT */
/*
 * A loop inside another one: this program has a loop of its own around poll(2), as a toolkit or a
 * game has, and ouro runs in it as one descriptor more.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int64_t fetch(void *arg)
{
    const int *id = arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20) * (ouro_ns)*id));
    printf("ouro: task %d is done\n", *id);
    return rc;
}

/* As a timeout of poll(2): rounded up, so that the step after it finds the time over. */
static int milliseconds(ouro_ns wait)
{
    if (wait == OURO_FOREVER)
        return -1;
    ouro_ns ms = wait / OURO_MS(1) + (wait % OURO_MS(1) != 0);
    return ms < 60000 ? (int)ms : 60000;
}

/* One round of the program's own loop: what happens in it, @keys, and what happens in ours. */
static int round_of_poll(ouro_loop *loop, int keys)
{
    struct pollfd fds[2] = {
        {.fd = keys, .events = POLLIN},
        {.fd = ouro_loop_fd(loop), .events = POLLIN},
    };
    if (poll(fds, 2, milliseconds(ouro_loop_timeout(loop))) < 0 && errno != EINTR)
        return -errno;
    char key;
    if (fds[0].revents && read(keys, &key, 1) == 1)
        printf("poll: key %c\n", key);
    return ouro_loop_step(loop, 0); /* takes what there is, and does not wait */
}

static int64_t run(ouro_loop *loop, int keys)
{
    int ids[2] = {1, 2};
    ouro_future *both[2] = {ouro_spawn(fetch, &ids[0]), ouro_spawn(fetch, &ids[1])};
    ouro_future *fetched = ouro_gather(both, 2, OURO_GATHER_ALL, NULL);
    int rc = 1;
    while (rc >= 0 && ouro_future_state(fetched) == OURO_PENDING)
        rc = round_of_poll(loop, keys);
    int64_t n = ouro_future_result(fetched).n;
    ouro_unref(fetched);
    return rc < 0 ? rc : n;
}

int main(void)
{
    ouro_loop *loop;
    int keys[2];
    int64_t rc = ouro_loop_new(NULL, &loop);
    if (rc < 0)
        return ouro_exit_code(rc);
    if (pipe(keys) != 0 || write(keys[1], "q", 1) != 1)
        return 1;
    rc = run(loop, keys[0]);
    ouro_loop_shutdown(loop, OURO_SEC(1));
    ouro_loop_close(loop);
    close(keys[0]);
    close(keys[1]);
    return ouro_exit_code(rc);
}
