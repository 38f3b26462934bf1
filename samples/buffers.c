/* SPDX-License-Identifier: MIT */
/*
 * Cancelling and buffers: a read into a buffer on the stack is given up, and the buffer is safe; no
 * byte is lost, and a result that is there is not thrown away.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* When this returns, whatever it returns, nobody will write to @buf any more. So it may be gone. */
static int64_t read_within(ouro_stream *s, ouro_ns limit)
{
    char buf[16];
    int64_t n = ouro_await(ouro_timeout(ouro_stream_read(s, buf, sizeof buf), limit));
    if (n >= 0)
        printf("read: %.*s\n", (int)n, buf);
    else
        printf("read: %s\n", ouro_strerror(n));
    return n;
}

static int64_t write_later(void *arg)
{
    const int *fd = arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(40)));
    return rc < 0 || write(*fd, "hello", 5) == 5 ? rc : -errno;
}

/* The result is there before the cancel: the cancel has no effect. */
static int64_t cancel_too_late(ouro_stream *s)
{
    char buf[16];
    ouro_future *read = ouro_stream_read(s, buf, sizeof buf);
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    if (rc < 0) {
        ouro_cancel(read);
        ouro_await(read); /* buf is lent until it has settled */
        return rc;
    }
    printf("the cancel was recorded: %s\n", ouro_cancel(read) == 1 ? "yes" : "no");
    int64_t n = ouro_await(read);
    if (n > 0)
        printf("read: %.*s\n", (int)n, buf);
    return n;
}

static int64_t exchange(ouro_stream *s, int other_end)
{
    ouro_future *writer = ouro_spawn(write_later, &other_end);
    read_within(s, OURO_MS(10)); /* nothing is there yet */
    int64_t n = read_within(s, OURO_SEC(10));
    int64_t rc = ouro_await(writer);
    if (n < 0 || rc < 0)
        return n < 0 ? n : rc;
    if (write(other_end, "again", 5) != 5)
        return -errno;
    return cancel_too_late(s);
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int ends[2];
    ouro_stream *s;
    if (pipe(ends) != 0)
        return -errno;
    int64_t rc = ouro_stream_new(ends[0], NULL, &s);
    if (rc == 0) {
        rc = exchange(s, ends[1]);
        ouro_stream_free(s);
    } else {
        close(ends[0]);
    }
    close(ends[1]);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
