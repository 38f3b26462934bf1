/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCPOOL_TEST_H
#define OURO_PROCPOOL_TEST_H

/*
 * What the tests of process pools share.
 *
 * Criterion's processes have threads, so each test has a process of its own, forked from there: it
 * makes the pool, then a loop on the kernel, runs the body as a task in it, and proves that nothing
 * is left: of the loop, of processes, of descriptors, of memory.
 */

#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What processes share that have been forked since. */
struct board {
    atomic_int pid;   /* of a worker whose job runs */
    atomic_int count; /* of something */
    atomic_int order[16];
};

static struct board *board;

static inline void begin_board(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(board != MAP_FAILED);
}

/* An allocator that counts what it has given out, and refuses the @fail_at-th object from when that
 * is set. */
struct counted {
    int64_t live;
    int64_t asked;
    int64_t fail_at;
};

static struct counted memory;

static inline void *count_alloc(size_t size, void *arg)
{
    struct counted *m = arg;
    if (++m->asked == m->fail_at)
        return NULL;
    m->live++;
    return malloc(size);
}

static inline void *count_resize(void *ptr, size_t size, void *arg)
{
    struct counted *m = arg;
    if (++m->asked == m->fail_at)
        return NULL;
    m->live += ptr == NULL;
    return realloc(ptr, size);
}

static inline void count_release(void *ptr, void *arg)
{
    struct counted *m = arg;
    m->live -= ptr != NULL;
    free(ptr);
}

static inline void begin_memory(void)
{
    ouro_allocator a = {count_alloc, count_resize, count_release, &memory};
    check_eq(ouro_set_allocator(&a), 0);
}

/* The lowest descriptor that is free: the same before and after, if none was left open. */
static inline int free_fd(void)
{
    int fd = dup(STDERR_FILENO);
    check(fd >= 0);
    close(fd);
    return fd;
}

static inline void check_no_child(void)
{
    check_eq(waitpid(-1, NULL, WNOHANG), -1);
    check_eq(errno, ECHILD);
}

static inline int pool_test(int workers, const ouro_procpool_options *opts, ouro_task_fn *body)
{
    ouro_procpool *pool = NULL;
    int fd = free_fd();
    begin_board();
    begin_memory();
    check_eq(ouro_procpool_new(workers, opts, &pool), 0);
    begin_kernel();
    check_eq(run_main(body, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    check_no_child();
    check_eq(free_fd(), fd);
    check_eq(memory.live, 0);
    return 0;
}

/* A test whose body is a task, with the pool in `pool`; the pool is made with options, given as
 * initialisers. */
#define PoolTestWith(name, workers, ...)                                                 \
    static int64_t name##_body(ouro_procpool *pool);                                     \
    static int64_t name##_task(void *arg)                                                \
    {                                                                                    \
        return name##_body(arg);                                                         \
    }                                                                                    \
    static int name##_process(void)                                                      \
    {                                                                                    \
        return pool_test((workers), &(ouro_procpool_options){__VA_ARGS__}, name##_task); \
    }                                                                                    \
    ProcessTest(name, name##_process) static int64_t name##_body(ouro_procpool *pool)

#define PoolTest(name, workers) PoolTestWith(name, workers, .start = NULL)

/* A test that is a function in a process of its own. */
#define ProcessTest(name, process)               \
    Test(procpool, name)                         \
    {                                            \
        char text[512];                          \
        check_child(process, text, sizeof text); \
    }

static inline int64_t await_job(ouro_procpool *pool, ouro_procpool_fn *fn)
{
    return ouro_await(ouro_procpool_submit(pool, fn, NULL, 0));
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

#define JOB(name)                                                         \
    static inline int64_t name(const void *input __attribute__((unused)), \
                               size_t size __attribute__((unused)),       \
                               ouro_reply *reply __attribute__((unused)))

JOB(tell_pid)
{
    return getpid();
}

JOB(tell_parent)
{
    return getppid();
}

/* Say that it runs, and go on for ever. */
JOB(hang)
{
    atomic_store(&board->pid, getpid());
    for (;;)
        pause();
    return 0;
}

/* In a task: until a job says that it runs. Its process id. */
static inline pid_t await_running(void)
{
    pid_t pid;
    while ((pid = atomic_exchange(&board->pid, 0)) == 0)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    return pid;
}

/* The state of a process as ps(1) tells it: 'S' asleep, 'Z' a zombie; 0: it is gone. */
static inline char state_of(pid_t pid)
{
    char path[64], stat[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    size_t n = fread(stat, 1, sizeof stat - 1, f);
    fclose(f);
    const char *state = n ? strrchr(stat, ')') : NULL;
    return state ? state[2] : 0;
}

/* Whether a process is gone, or a zombie that its parent will see. */
static inline bool is_dead(pid_t pid)
{
    char state = state_of(pid);
    return !state || state == 'Z' || state == 'X';
}

static inline void wait_dead(pid_t pid)
{
    for (int i = 0; i < 5000 && !is_dead(pid); i++)
        usleep(1000);
    check(is_dead(pid));
}

#endif
