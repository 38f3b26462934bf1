/* SPDX-License-Identifier: MIT */
/*
 * Child processes: text through a filter, a program that is not there, and a deadline that kills.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int64_t sort_words(void)
{
    const char *words = "cherry\napple\nbanana\n";
    int64_t rc;
    ouro_process *sort = ouro_await_ptr(
        ouro_process_spawn(&(ouro_process_options){
            .argv = (const char *[]){"sort", NULL}, .in = OURO_PIPE, .out = OURO_PIPE}),
        &rc);
    if (!sort)
        return rc;
    ouro_output *output = ouro_await_ptr(ouro_process_communicate(sort, words, strlen(words)), &rc);
    if (output)
        printf("%ssort ended with status %d\n", output->out, (int)output->status);
    ouro_output_free(output);
    ouro_process_free(sort);
    return rc;
}

/* What a failed future has to say beyond its code. */
static void start_a_missing_program(void)
{
    ouro_future *f = ouro_process_spawn(
        &(ouro_process_options){.argv = (const char *[]){"no-such-program", NULL}});
    int64_t rc = ouro_await(ouro_ref(f));
    if (rc < 0)
        printf("%s: %s\n", ouro_future_detail(f), ouro_strerror(rc));
    ouro_unref(f);
}

/* Leaving the scope kills what was started for it and still runs, and waits until it is gone. */
static int64_t sleep_too_long(void)
{
    ouro_scope scope;
    int64_t rc = ouro_scope_enter(&scope, NULL);
    if (rc < 0)
        return rc;
    ouro_process *sleep = ouro_await_ptr(
        ouro_process_spawn(&(ouro_process_options){.argv = (const char *[]){"sleep", "10", NULL},
                                                   .scope = &scope}),
        &rc);
    if (sleep) {
        rc = ouro_await(ouro_timeout(ouro_process_wait(sleep), OURO_MS(100)));
        printf("waiting for sleep: %s\n", ouro_strerror(rc));
    }
    rc = ouro_scope_exit(&scope, rc);
    if (sleep)
        printf("sleep: %s\n", ouro_strerror(ouro_await(ouro_process_wait(sleep))));
    ouro_process_free(sleep);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = sort_words();
    if (rc < 0)
        return rc;
    start_a_missing_program();
    return sleep_too_long();
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
