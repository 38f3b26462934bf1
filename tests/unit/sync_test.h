/* SPDX-License-Identifier: MIT */
#ifndef SYNC_TEST_H
#define SYNC_TEST_H

/*
 * What the tests of locks and the like share: notes of what happened in which order, tasks that are
 * named by a letter, memory that is refused, another thread with a loop of its own.
 */

#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- Notes ----------------------------------------------------------------------------------- */

static char notes[256];
static size_t note_count;

static inline void note(char c)
{
    check(note_count < sizeof notes - 1);
    notes[note_count++] = c;
    notes[note_count] = '\0';
}

/* The notes since the last time. */
static inline const char *take_notes(void)
{
    static char taken[sizeof notes];
    for (size_t i = 0; i < sizeof notes; i++)
        taken[i] = notes[i];
    note_count = 0;
    notes[0] = '\0';
    return taken;
}

static inline char letter_of(void *arg)
{
    return (char)(intptr_t)arg;
}

/* Upper case for what went wrong. */
static inline void note_outcome(void *arg, int64_t rc)
{
    note(rc >= 0 ? letter_of(arg) : (char)(letter_of(arg) - 'a' + 'A'));
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static inline ouro_future *spawn_letter(ouro_task_fn *fn, char letter)
{
    return ouro_spawn(fn, (void *)(intptr_t)letter);
}

/* Until everybody waits for something; in a task. */
static inline void let_others_run(void)
{
    for (int i = 0; i < 8; i++)
        check_eq(ouro_yield(), 0);
}

static inline int64_t count_turns(void *arg)
{
    int *count = arg;
    while (ouro_yield() == 0)
        ++*count;
    return -ECANCELED;
}

/* @wait never has to wait; others must run all the same, but not each time. */
static inline void check_others_run_beside(void (*wait)(void))
{
    int count = 0;
    ouro_future *other = ouro_spawn(count_turns, &count);
    for (int i = 0; i < 1000; i++)
        wait();
    check(count >= 5);
    check(count <= 10);
    check_eq(ouro_cancel(other), 1);
    check_eq(ouro_await(other), -OURO_ECHILDCANCELLED);
}

/* A region that is cancelled from the beginning. */
static inline void enter_cancelled(ouro_scope *scope)
{
    check_eq(ouro_scope_enter(scope, NULL), 0);
    check_eq(ouro_scope_cancel(scope, NULL), 1);
}

static inline void enter_timeout(ouro_scope *scope, ouro_ns timeout)
{
    check_eq(ouro_scope_enter(scope, &(ouro_scope_options){.timeout = timeout}), 0);
}

/* What a future has come to, and let go of. */
static inline int64_t outcome(ouro_future *f)
{
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

static inline int64_t fail_later(void *arg)
{
    (void)arg;
    check_eq(ouro_yield(), 0);
    return -EIO;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static bool refusing;

static inline void *get(size_t size, void *arg)
{
    (void)arg;
    return refusing ? NULL : malloc(size);
}

static inline void *get_more(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return refusing ? NULL : realloc(ptr, size);
}

static inline void let_go(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

/* Before the loop: every object from now on can be refused. */
static inline void refuse_on_demand(void)
{
    ouro_allocator a = {get, get_more, let_go, NULL};
    check_eq(ouro_set_allocator(&a), 0);
}

/* Run @body with memory that can be refused. */
static inline void run_with_little_memory(ouro_task_fn *body)
{
    refuse_on_demand();
    begin_fake();
    check_eq(run_main(body, NULL), 0);
    end();
    check_eq(ouro_set_allocator(NULL), 0);
}

/* ---- Another thread -------------------------------------------------------------------------- */

/* Run @body as a task of another thread's loop. */
static inline void *run_elsewhere(void *body)
{
    ouro_loop *loop;
    ouro_task_fn *fn = *(ouro_task_fn **)body;
    if (ouro_loop_new(NULL, &loop) < 0)
        return NULL;
    int64_t n = ouro_loop_run_until(loop, ouro_spawn(fn, NULL));
    ouro_loop_close(loop);
    return (void *)(intptr_t)(n == 0);
}

static inline void check_elsewhere(ouro_task_fn *body)
{
    pthread_t thread;
    void *went_well = NULL;
    check_eq(pthread_create(&thread, NULL, run_elsewhere, &body), 0);
    check_eq(pthread_join(thread, &went_well), 0);
    check(went_well != NULL);
}

#endif
