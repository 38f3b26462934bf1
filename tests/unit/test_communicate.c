/* SPDX-License-Identifier: MIT */
/*
 * Talking to child processes: much in both directions, to those who do not listen, stop talking, or
 * never end.
 */
#define _GNU_SOURCE
#include "child_test.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TestSuite(communicate, .timeout = 60);

static const ouro_process_options all_pipes = {.in = OURO_PIPE, .out = OURO_PIPE, .err = OURO_PIPE};

/* The whole conversation with a script, which must succeed. */
static ouro_output *talk(const char *script, ouro_process_options opts, const void *input,
                         size_t size)
{
    int64_t rc;
    ouro_process *p = spawn_shell(script, opts);
    ouro_output *o = ouro_await_ptr(ouro_process_communicate(p, input, size), &rc);
    ouro_process_free(p);
    check_eq(rc, 0);
    check(o != NULL);
    return o;
}

#define MUCH ((size_t)5 << 20)

static char *much(void)
{
    char *bytes = malloc(MUCH);
    check(bytes != NULL);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (char)(i * 2654435761u >> 24);
    return bytes;
}

/* ---- What comes back ------------------------------------------------------------------------- */

ChildTest(communicate, input_goes_in_and_both_outputs_and_the_status_come_back)
{
    mallopt(M_PERTURB, 'x'); /* so that no zero is there by chance */
    ouro_output *o = talk("cat; echo error >&2; exit 3", all_pipes, "text", 4);
    check_eq(o->out_size, 4);
    check_text(o->out, "text");
    check_eq(o->err_size, 6);
    check_text(o->err, "error\n");
    check_eq(o->status, 3);
    ouro_output_free(o);
    ouro_output_free(NULL);
    return 0;
}

ChildTest(communicate, without_a_pipe_there_is_no_text_and_without_text_an_empty_one)
{
    ouro_output *o = talk("exit 0", all_pipes, NULL, 0);
    check_text(o->out, "");
    check_text(o->err, "");
    check_eq(o->out_size + o->err_size, 0);
    ouro_output_free(o);
    o = talk("kill -TERM $$", (ouro_process_options){0}, NULL, 0);
    check(o->out == NULL && o->err == NULL);
    check_eq(o->status, -OURO_ESIGNALED(SIGTERM));
    ouro_output_free(o);
    return 0;
}

ChildTest(communicate, both_outputs_can_be_one)
{
    ouro_output *o = talk("echo a; echo b >&2; echo c",
                          (ouro_process_options){.out = OURO_PIPE, .err = OURO_STDOUT}, NULL, 0);
    check_text(o->out, "a\nb\nc\n");
    check(o->err == NULL);
    ouro_output_free(o);
    return 0;
}

ChildTest(communicate, five_mebibytes_pass_in_both_directions_at_once)
{
    char *bytes = much();
    ouro_output *o = talk("tee /dev/stderr", all_pipes, bytes, MUCH);
    check_eq(o->out_size, MUCH);
    check_eq(o->err_size, MUCH);
    check(memcmp(o->out, bytes, MUCH) == 0);
    check(memcmp(o->err, bytes, MUCH) == 0);
    check_eq(o->out[MUCH], 0);
    check_eq(o->status, 0);
    ouro_output_free(o);
    free(bytes);
    return 0;
}

/* ---- Those who behave badly ------------------------------------------------------------------ */

ChildTest(communicate, a_child_that_does_not_read_its_input_is_no_error)
{
    char *bytes = much();
    ouro_output *o = talk("exec <&-; echo done", all_pipes, bytes, MUCH);
    check_text(o->out, "done\n");
    check_eq(o->status, 0);
    ouro_output_free(o);
    o = talk("head -c 100000 | wc -c", all_pipes, bytes, MUCH);
    check_text(o->out, "100000\n");
    ouro_output_free(o);
    free(bytes);
    return 0;
}

ChildTest(communicate, a_child_that_closes_its_outputs_early_is_still_fed_and_waited_for)
{
    char *bytes = much();
    ouro_output *o = talk("echo some; exec >&- 2>&-; n=$(wc -c); [ $n = 5242880 ] && exit 6",
                          all_pipes, bytes, MUCH);
    check_text(o->out, "some\n");
    check_eq(o->status, 6);
    ouro_output_free(o);
    free(bytes);
    return 0;
}

ChildTest(communicate, a_child_that_never_ends_can_be_given_up_and_goes_on)
{
    char *bytes = much();
    ouro_process *p = spawn_shell(
        "sleep 1000", (ouro_process_options){.in = OURO_PIPE, .out = OURO_PIPE, .new_group = 1});
    check_eq(ouro_await(ouro_timeout(ouro_process_communicate(p, bytes, MUCH), OURO_MS(10))),
             -ETIMEDOUT);
    free(bytes);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_process_fd(p, i), -EBADF);
    check_eq(ouro_process_kill(p, 0), 0);
    kill_and_free(p);
    return 0;
}

ChildTest(communicate, a_child_that_ends_later_than_its_output_can_be_given_up_too)
{
    const char *argv[] = {"sh", "-c", "echo some; exec sleep 1000 >&- 2>&-", NULL};
    int64_t rc;
    ouro_process *p = ouro_await_ptr(
        ouro_process_spawn(&(ouro_process_options){.argv = argv, .out = OURO_PIPE}), &rc);
    check_eq(rc, 0);
    check_eq(ouro_await(ouro_timeout(ouro_process_communicate(p, NULL, 0), OURO_MS(10))),
             -ETIMEDOUT);
    kill_and_free(p);
    return 0;
}

ChildTest(communicate, a_cancel_before_it_has_begun_closes_the_pipes)
{
    ouro_process *p = spawn_shell("cat", all_pipes);
    ouro_future *f = ouro_process_communicate(p, "x", 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_process_wait(p)), 0); /* cat has read the end */
    ouro_process_free(p);
    return 0;
}

/* ---- Whose it is ----------------------------------------------------------------------------- */

ChildTest(communicate, the_process_may_be_freed_meanwhile)
{
    int64_t rc;
    ouro_process *p = spawn_shell("cat", all_pipes);
    ouro_future *f = ouro_process_communicate(p, "text", 4);
    ouro_process_free(p);
    ouro_output *o = ouro_await_ptr(f, &rc);
    check_eq(rc, 0);
    check_text(o->out, "text");
    ouro_output_free(o);
    return 0;
}

ChildTest(communicate, an_output_that_nobody_takes_is_destroyed)
{
    ouro_process *p = spawn_shell("cat", all_pipes);
    check_eq(ouro_await(ouro_process_communicate(p, "text", 4)), 0);
    ouro_process_free(p);
    return 0;
}

ChildTest(communicate, it_is_once_for_a_process_and_for_all_of_its_pipes)
{
    ouro_process *p = spawn_shell("cat", all_pipes);
    close(ouro_process_take_fd(p, 2));
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), -EBUSY);
    check(ouro_process_fd(p, 0) > 2);
    close(ouro_process_take_fd(p, 0));
    check_eq(ouro_await(ouro_process_wait(p)), 0);
    ouro_process_free(p);

    p = spawn_shell("exit 0", (ouro_process_options){0});
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), 0);
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), -EBUSY);
    ouro_process_free(p);

    p = spawn_shell("cat", all_pipes);
    ouro_future *f = ouro_process_communicate(p, NULL, 0);
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), -EBUSY);
    check_eq(ouro_await(f), 0);
    ouro_process_free(p);
    return 0;
}

ChildTest(communicate, input_without_a_pipe_is_einval)
{
    ouro_process *p = spawn_shell("exit 0", (ouro_process_options){.out = OURO_PIPE});
    check_eq(ouro_await(ouro_process_communicate(p, "x", 1)), -EINVAL);
    check_eq(ouro_await(ouro_process_communicate(NULL, NULL, 0)), -EINVAL);
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), 0);
    ouro_process_free(p);
    p = spawn_shell("exit 0", all_pipes);
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_process_communicate(p, NULL, 0)), 0);
    ouro_process_free(p);
    return 0;
}

/* ---- SIGPIPE --------------------------------------------------------------------------------- */

static int64_t feed_a_deaf_one(void *arg)
{
    ouro_output_free(talk("exec <&-; sleep 0.01", all_pipes, arg, MUCH));
    return 0;
}

ChildTest(communicate, several_that_do_not_read_at_once_leave_sigpipe_as_it_was)
{
    char *bytes = much();
    ouro_future *f[4];
    for (int i = 0; i < 4; i++)
        f[i] = ouro_spawn(feed_a_deaf_one, bytes);
    check_eq(ouro_await(ouro_gather(f, 4, OURO_GATHER_ALL, NULL)), 0);
    free(bytes);
    return 0;
}

ChildTest(communicate, a_watch_on_sigpipe_and_a_child_that_does_not_read_do_not_disturb_each_other)
{
    char *bytes = much();
    ouro_signals *s = NULL;
    check_eq(ouro_signals_open((int[]){SIGPIPE}, 1, &s), 0);
    ouro_future *f = ouro_spawn(feed_a_deaf_one, bytes);
    while (has_no_child())
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    s = ouro_signals_close(s);
    check_eq(ouro_await(f), 0);
    f = ouro_spawn(feed_a_deaf_one, bytes);
    while (has_no_child())
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_signals_open((int[]){SIGPIPE}, 1, &s), 0);
    check_eq(ouro_await(f), 0);
    check_eq(raise(SIGPIPE), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGPIPE);
    ouro_signals_close(s);
    free(bytes);
    return 0;
}

/* ---- Shutdown -------------------------------------------------------------------------------- */

static int64_t leave_it_talking(void *arg)
{
    const char *argv[] = {"cat", NULL};
    ouro_process_options opts = all_pipes;
    opts.argv = argv;
    (void)arg;
    int64_t rc;
    ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
    check_eq(rc, 0);
    int in = dup(ouro_process_fd(p, 0)); /* so that it goes on until then */
    ouro_detach(ouro_process_communicate(p, NULL, 0));
    ouro_process_free(p);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    return in;
}

Test(communicate, shutdown_gives_it_up_and_the_child_goes_on)
{
    int64_t in = ouro_run(leave_it_talking, NULL, NULL);
    check(in > 2);
    check_eq(waitpid(-1, NULL, WNOHANG), 0);
    close((int)in);
    int status;
    check(waitpid(-1, &status, 0) > 0);
    check_eq(status, 0);
}
