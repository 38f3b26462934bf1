/* SPDX-License-Identifier: MIT */
/*
 * SIGUSR1 under ouro_run(), in debug mode: print the tree of tasks.
 *
 * The handler posts a job to each loop that runs this way, which prints between two steps, on the
 * loop's own stack. A post needs no lock and no memory, so a handler may make one; while it is
 * under way, further signals ask for nothing more. The signal is ours while there is such a loop,
 * and only if nobody has claimed it.
 */
#include "loop_int.h"

#include <ouro/inspect.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS_MAX 64 /* those beyond print nothing */

static struct printer {
    _Atomic(ouro_loop *) loop; /* NULL: free */
    atomic_bool posted;
    struct ouro__post post;
} printers[LOOPS_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint handlers; /* running right now */

static void print(struct ouro__job *job)
{
    struct printer *p = OURO__CONTAINER(job, struct printer, post.job);
    atomic_store(&p->posted, false);
    ouro_tasks_print(stderr);
}

static void drop(struct ouro__post *post, bool quietly)
{
    (void)quietly;
    atomic_store(&OURO__CONTAINER(post, struct printer, post)->posted, false);
}

static void on_sigusr1(int signal)
{
    int saved = errno;
    bool any = false;
    atomic_fetch_add(&handlers, 1);
    for (int i = 0; i < LOOPS_MAX; i++) {
        ouro_loop *loop = atomic_load(&printers[i].loop);
        if (!loop)
            continue;
        any = true;
        if (!atomic_exchange(&printers[i].posted, true) && ouro__post(loop, &printers[i].post) < 0)
            atomic_store(&printers[i].posted, false);
    }
    if (!any) {
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        raise(signal);
    }
    atomic_fetch_sub(&handlers, 1);
    errno = saved;
}

static struct printer *find(const ouro_loop *loop)
{
    for (int i = 0; i < LOOPS_MAX; i++)
        if (atomic_load(&printers[i].loop) == loop)
            return &printers[i];
    return NULL;
}

/* One that no loop has, not even one that is about to close. */
static struct printer *find_free(void)
{
    for (int i = 0; i < LOOPS_MAX; i++)
        if (!atomic_load(&printers[i].loop) && !atomic_load(&printers[i].posted))
            return &printers[i];
    return NULL;
}

static bool is_last(void)
{
    for (int i = 0; i < LOOPS_MAX; i++)
        if (atomic_load(&printers[i].loop))
            return false;
    return true;
}

/* Whether the signal is the library's, from now on if need be. */
static bool have_signal(void)
{
    struct sigaction action = {.sa_handler = on_sigusr1, .sa_flags = SA_RESTART};
    struct sigaction now;
    if (sigaction(SIGUSR1, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO))
        return false;
    if (now.sa_handler == SIG_DFL) {
        sigemptyset(&action.sa_mask);
        return sigaction(SIGUSR1, &action, NULL) == 0;
    }
    return now.sa_handler == on_sigusr1;
}

void ouro__print_on_signal(ouro_loop *loop)
{
    const char *env = getenv("OURO_DEBUG");
    if (!env || strcmp(env, "1") != 0)
        return;
    pthread_mutex_lock(&lock);
    struct printer *p = find_free();
    if (p && have_signal()) {
        p->post = (struct ouro__post){.job = {.run = print}, .drop = drop};
        atomic_store(&p->loop, loop);
    }
    pthread_mutex_unlock(&lock);
}

/* Give it back, unless somebody has changed it meanwhile. */
static void give_signal_back(void)
{
    struct sigaction now;
    if (sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == on_sigusr1)
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

void ouro__print_off_signal(ouro_loop *loop)
{
    pthread_mutex_lock(&lock);
    struct printer *p = find(loop);
    if (p) {
        atomic_store(&p->loop, NULL);
        if (is_last())
            give_signal_back();
        while (atomic_load(&handlers)) /* another thread's, which may have the loop */
            sched_yield();
    }
    pthread_mutex_unlock(&lock);
}

/* Its loops are the parent's. A post that is in one of their queues stays taken. */
void ouro__print_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    atomic_store(&handlers, 0);
    if (is_last())
        return;
    for (int i = 0; i < LOOPS_MAX; i++)
        atomic_store(&printers[i].loop, NULL);
    give_signal_back();
}
