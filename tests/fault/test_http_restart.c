/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where a restart and a server of several workers ask for it, on
 * whichever thread.
 *
 * Each scenario runs again and again, each time with one allocation more granted before one is
 * refused, until a run needs no more. A call fails with -ENOMEM or does what it does; every byte,
 * descriptor and child is gone afterwards, and a server whose restart has failed serves on.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <ouro/http_server.h>
#include <ouro/restart.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "ration.h"

TestSuite(no_memory_restart, .timeout = 100);

enum { WORKERS = 2 };

static const char *const is_ready[] = {"sh", "-c", "eval \"echo >&${OURO_READY%%:*}\"", NULL};
static const char *const fails[] = {"false", NULL};

/* More and more memory, until a run needs no more than it gets. */
static void walk(void (*run)(void), unsigned at_least)
{
    for (fail_at = 1, refused = 1; refused; fail_at++) {
        int fds = open_fds();
        asked = refused = 0;
        check_eq(ouro_set_allocator(&rationed), 0);
        run();
        check_eq(ouro_set_allocator(NULL), 0);
        if (blocks != 0)
            cr_assert_fail("refusing %u: %d blocks leaked", fail_at, (int)blocks);
        check_eq(open_fds(), fds);
        while (waitpid(-1, NULL, 0) > 0)
            continue; /* one that nobody could be found to reap, which is reported */
        check(fail_at < 10000);
    }
    check(fail_at > at_least);
}

/* ---- One restart ----------------------------------------------------------------------------- */

static int64_t restart_with(const char *const *argv, int64_t wanted)
{
    const int fds[] = {STDIN_FILENO, STDOUT_FILENO};
    int64_t rc = ouro_await(ouro_restart(fds, 2, &(ouro_restart_options){.argv = argv}));
    check(rc == -ENOMEM || (wanted ? rc == wanted : rc > 0));
    return rc;
}

static int64_t restarts(void *unused)
{
    (void)unused;
    restart_with(is_ready, 0);
    restart_with(fails, -ESRCH);
    return 0;
}

static void run_restarts(void)
{
    int64_t rc = ouro_run(restarts, NULL, NULL);
    check(rc == 0 || rc == -ENOMEM);
}

Test(no_memory_restart, a_restart_fails_cleanly_at_every_allocation)
{
    walk(run_restarts, 20);
}

/* ---- Servers --------------------------------------------------------------------------------- */

/* A client that is served, asks for a restart, is served again unless another process has to do so
 * now, and ends the server. */
struct visitor {
    ouro_address address;
    pthread_t thread;
    bool came;
    atomic_bool over; /* the server has ended, for want of memory */
    atomic_int told;  /* of a restart */
    atomic_bool yields;
};

/* Whether somebody answers. */
static bool ask(const ouro_address *a)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char byte;
    int fd = socket(a->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = connect(fd, &a->as.any, a->size) == 0 &&
                    send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 &&
                    recv(fd, &byte, 1, 0) == 1;
    close(fd);
    return answered;
}

/* Who has no luck at first, as there was no memory for him, tries again. */
static void be_served(struct visitor *v)
{
    while (!v->over && !v->yields && !ask(&v->address))
        usleep(100);
}

static void *come(void *arg)
{
    struct visitor *v = arg;
    be_served(v);
    kill(getpid(), SIGUSR2);
    while (!v->over && v->told == 0)
        usleep(100);
    be_served(v);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void let_come(const ouro_address *address, void *arg)
{
    struct visitor *v = arg;
    v->address = *address;
    v->came = pthread_create(&v->thread, NULL, come, v) == 0;
    check(v->came);
}

static void note_restart(int64_t result, const char *why, void *arg)
{
    struct visitor *v = arg;
    (void)why;
    v->yields = result > 0;
    v->told++;
}

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "hello\n");
}

static int64_t set_up(ouro_http_server *server, void *arg)
{
    return ouro_http_route(server, "GET", "/", hello, arg);
}

static void drop_signals(void)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR2);
    sigaddset(&both, SIGTERM);
    while (sigtimedwait(&both, NULL, &(struct timespec){0}) > 0)
        continue;
}

static void serve(const char *const *argv)
{
    struct visitor v = {0};
    ouro_serve_workers_options opts = {
        .on_listening = let_come,
        .restart_signal = SIGUSR2,
        .restart.argv = argv,
        .on_restart = note_restart,
    };
    char where[64];
    const char *path = where + strlen("unix:");
    snprintf(where, sizeof where, "unix:/tmp/test_http_restart.%d", (int)getpid());
    int64_t rc = ouro_http_serve_workers(WORKERS, where, set_up, &v, NULL, &opts);
    v.over = true;
    if (v.came)
        check_eq(pthread_join(v.thread, NULL), 0);
    check(rc == -ENOMEM || (rc == 0 && v.told == 1));
    check_eq(access(path, F_OK), v.yields ? 0 : -1); /* it goes with who is the last */
    if (v.yields)
        check_eq(unlink(path), 0);
    drop_signals();
}

static void serve_and_stay(void)
{
    serve(fails);
}

static void serve_and_yield(void)
{
    serve(is_ready);
}

static void walk_blocked(void (*run)(void))
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR2);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, NULL); /* one that comes when all is over shall not kill */
    walk(run, 50);
}

Test(no_memory_restart, a_server_goes_on_or_ends_in_good_order_and_its_path_with_it)
{
    walk_blocked(serve_and_stay);
}

Test(no_memory_restart, a_server_that_is_taken_over_from_fails_cleanly_at_every_allocation)
{
    walk_blocked(serve_and_yield);
}
