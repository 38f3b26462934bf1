/* SPDX-License-Identifier: MIT */
/*
 * Pools: threads that take jobs from a queue.
 *
 * A job goes to the end of the queue; a thread is woken for it, or started while there are fewer
 * than the pool may have, unless one that is awake already will come for it. Of those that sleep,
 * the one that fell asleep last is woken: it is the warmest, and the others can go when they have
 * been idle for long enough. In conversation with a loop, one thread of a pool looks for the next
 * job for a moment before it sleeps. When a job has ended, its record is posted to its loop, which
 * needs no memory and no lock.
 *
 * A thread is busy while it is in code of the user's, which may take for ever; the rest of its way
 * is a matter of microseconds, and can be waited for. Each thread that ends joins the one that
 * ended before it, so that to join the last is to have joined all. The last one of a pool that was
 * left while threads were busy has nobody to join it, and detaches itself.
 *
 * How it fails: without any thread a job is refused; with fewer than there should be it waits
 * longer. In the child of a fork there are no threads, and a lock may be held for ever: nothing
 * here touches it then.
 */
#include "pool_int.h"
#include "spin.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_IDLE OURO_SEC(10)

/* How long a thread looks for work before it sleeps, in busy times: what a loop takes to answer. */
#define SPIN          OURO_US(20)
#define LOOKS_A_CLOCK 8 /* looks between two looks at the clock */

/* A thread with nothing to do. Each has a condition of its own, so that the pool can choose whom to
 * wake. */
struct sleeper {
    struct ouro__link link;
    pthread_cond_t woken;
    bool awake;
    struct ouro__spin spin;
};

/* ---- Looking, sleeping, waking --------------------------------------------------------------- */

static void wake(ouro_pool *pool, struct ouro__link *link)
{
    struct sleeper *s = OURO__CONTAINER(link, struct sleeper, link);
    pool->hands++;
    s->awake = true;
    pthread_cond_signal(&s->woken); /* locked: else it might be gone */
}

void ouro__pool_wake_all(ouro_pool *pool)
{
    struct ouro__link *link;
    while ((link = ouro__list_pop(&pool->sleepers)))
        wake(pool, link);
}

static ouro_ns clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ouro_ns)now.tv_sec * OURO_SEC(1) + (ouro_ns)now.tv_nsec;
}

/* See for a moment whether a job comes. Unlocked meanwhile. */
static void look(ouro_pool *pool, struct sleeper *self)
{
    bool found = false;
    pool->looking = true;
    pthread_mutex_unlock(&pool->lock);
    ouro_ns until = clock_now() + self->spin.limit;
    do {
        for (int i = 0; i < LOOKS_A_CLOCK && !found; i++) {
            ouro__spin_pause();
            found = atomic_load_explicit(&pool->waiting_count, memory_order_relaxed) > 0;
        }
    } while (!found && clock_now() < until);
    pthread_mutex_lock(&pool->lock);
    pool->looking = false;
    if (found)
        ouro__spin_hit(&self->spin);
    else
        ouro__spin_miss(&self->spin);
}

/* Until woken. False: nobody did for as long as a thread may be idle. */
static bool sleep_here(ouro_pool *pool, struct sleeper *self)
{
    ouro_ns start = clock_now();
    ouro_ns until = ouro__ns_add(start, pool->idle);
    struct timespec deadline = {.tv_sec = (time_t)(until / OURO_SEC(1)),
                                .tv_nsec = (long)(until % OURO_SEC(1))};
    self->awake = false;
    ouro__list_push_front(&pool->sleepers, &self->link);
    pool->hands--;
    for (int rc = 0; !self->awake && rc != ETIMEDOUT;)
        rc = pthread_cond_timedwait(&self->woken, &pool->lock, &deadline);
    if (self->awake) {
        ouro__spin_slept(&self->spin, clock_now() - start);
        return true;
    }
    ouro__list_remove(&self->link);
    pool->hands++;
    return false;
}

/* There is no job. False: nor will there be one for this thread. */
static bool rest(ouro_pool *pool, struct sleeper *self)
{
    if (pool->closed || pool->threads > pool->limit)
        return false;
    if (pool->looking || !ouro__spin_is_due(&self->spin))
        return sleep_here(pool, self);
    look(pool, self);
    return true;
}

/* ---- A thread's life ------------------------------------------------------------------------- */

/* The next job, as one that runs; NULL: there is none, or it is for others. */
static struct ouro__pool_job *take(ouro_pool *pool)
{
    struct ouro__link *link = pool->threads > pool->limit ? NULL : ouro__list_pop(&pool->waiting);
    if (!link)
        return NULL;
    struct ouro__pool_job *job = OURO__CONTAINER(link, struct ouro__pool_job, link);
    pool->waiting_count--;
    pool->hands--;
    pool->busy++;
    ouro__list_push(&pool->running, &job->link);
    job->state = OURO__JOB_RUNS;
    return job;
}

static void put_away(ouro_pool *pool, struct ouro__pool_job *job)
{
    job->state = OURO__JOB_ENDED;
    ouro__list_remove(&job->link);
    pool->busy--;
    pool->hands++;
}

static void run(struct ouro__pool_job *job)
{
    unsigned generation = ouro__fork_generation;
    ouro__job_run(job);
    if (ouro__fork_generation != generation)
        _exit(0); /* the child of a fork in the job: there is nobody to return to */
}

static void count_busy(ouro_pool *pool, int change)
{
    pthread_mutex_lock(&pool->lock);
    pool->busy += (unsigned)change;
    pool->hands -= (unsigned)change;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

/* To its loop; or, if that was closed under it, its destructors have to run here. @busy: this
 * thread is counted so already. */
static void hand_over(ouro_pool *pool, struct ouro__pool_job *job, bool busy)
{
    if (ouro__job_deliver(job))
        return;
    if (!busy)
        count_busy(pool, 1);
    ouro__job_end_here(job);
    if (!busy)
        count_busy(pool, -1);
}

/* Do jobs until this thread is not needed any more. One that has ended is handed over after the
 * next was taken, which spares every job but the last a second look at the lock. Locked. */
static void serve(ouro_pool *pool, struct sleeper *self)
{
    struct ouro__pool_job *job, *ended = NULL;
    while ((job = take(pool)) || ended || rest(pool, self)) {
        if (!job && !ended)
            continue;
        pthread_mutex_unlock(&pool->lock);
        if (ended)
            hand_over(pool, ended, job != NULL);
        if (job)
            run(job);
        pthread_mutex_lock(&pool->lock);
        if (job)
            put_away(pool, job);
        ended = job;
    }
}

/* The last of a closed pool has ended. */
static void announce_end(ouro_pool *pool)
{
    ouro_loop *loop = pool->end_loop;
    struct ouro__post *post = pool->end;
    pool->end = NULL;
    if (ouro__post(loop, post) < 0)
        post->drop(post, true);
    ouro_loop_unref(loop);
}

/* Locked; unlocks. */
static void leave(ouro_pool *pool)
{
    bool others = pool->has_ended;
    pthread_t before = pool->ended;
    bool last = --pool->threads == 0;
    pool->hands--;
    pool->has_ended = !(last && pool->left);
    pool->ended = pthread_self();
    if (!pool->has_ended)
        pthread_detach(pthread_self());
    if (last && pool->end)
        announce_end(pool);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    if (others)
        pthread_join(before, NULL);
    ouro__pool_unref(pool);
}

static void sleeper_init(struct sleeper *self)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self->woken, &attr);
    pthread_condattr_destroy(&attr);
    /* With one processor, nobody could bring the job that a thread looks for. */
    self->spin = ouro__spin_start(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN : 0);
}

static void *live(void *arg)
{
    ouro_pool *pool = arg;
    struct sleeper self;
    sleeper_init(&self);
    pthread_setname_np(pthread_self(), pool->name);
    pthread_mutex_lock(&pool->lock);
    serve(pool, &self);
    pthread_cond_destroy(&self.woken);
    leave(pool);
    return NULL;
}

/* A thread is born with the signals of its parent blocked: all but those that tell of a fault of
 * its own. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static bool start_thread(ouro_pool *pool)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t before;
    pthread_attr_init(&attr);
    if (pool->stack_size)
        pthread_attr_setstacksize(&attr, pool->stack_size);
    block_signals(&before);
    bool started = pthread_create(&thread, &attr, live, pool) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (started) {
        pool->threads++;
        pool->hands++;
        ouro__pool_ref(pool);
    }
    return started;
}

/* ---- The queue ------------------------------------------------------------------------------- */

/* Whether more jobs wait than threads will come for them. */
static bool short_of_hands(const ouro_pool *pool)
{
    return pool->waiting_count > pool->hands;
}

/* One more that is awake, if that can be. */
static bool add_hand(ouro_pool *pool)
{
    struct ouro__link *link = ouro__list_pop(&pool->sleepers);
    if (link)
        wake(pool, link);
    return link || (pool->threads < pool->limit && start_thread(pool));
}

int ouro__pool_submit(ouro_pool *pool, struct ouro__pool_job *job)
{
    int rc = 0;
    pthread_mutex_lock(&pool->lock);
    if (pool->closed) {
        rc = -ESHUTDOWN;
    } else {
        job->state = OURO__JOB_WAITS;
        ouro__list_push(&pool->waiting, &job->link);
        pool->waiting_count++;
        if (short_of_hands(pool) && !add_hand(pool) && !pool->threads) {
            ouro__list_remove(&job->link);
            pool->waiting_count--;
            rc = -EAGAIN;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

enum ouro__job_state ouro__pool_withdraw(struct ouro__pool_job *job)
{
    ouro_pool *pool = job->pool;
    pthread_mutex_lock(&pool->lock);
    enum ouro__job_state state = job->state;
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
    if (state == OURO__JOB_WAITS) {
        ouro__list_remove(&job->link);
        pool->waiting_count--;
        job->state = OURO__JOB_WITHDRAWN;
    }
    pthread_mutex_unlock(&pool->lock);
    return state;
}

void ouro__pool_empty(ouro_pool *pool, struct ouro__link *jobs)
{
    OURO__LIST_FOR (link, &pool->waiting)
        OURO__CONTAINER(link, struct ouro__pool_job, link)->state = OURO__JOB_WITHDRAWN;
    ouro__list_splice(jobs, &pool->waiting);
    pool->waiting_count = 0;
}

void ouro__jobs_deliver(struct ouro__link *jobs)
{
    struct ouro__link *link;
    while ((link = ouro__list_pop(jobs))) {
        struct ouro__pool_job *job = OURO__CONTAINER(link, struct ouro__pool_job, link);
        if (!ouro__job_deliver(job))
            ouro__job_end_here(job);
    }
}

/* ---- How many threads ------------------------------------------------------------------------ */

void ouro__pool_set_limit(ouro_pool *pool, unsigned limit)
{
    pool->limit = limit;
    while (short_of_hands(pool) && add_hand(pool))
        ;
    if (pool->threads > limit)
        ouro__pool_wake_all(pool);
}

void ouro__pool_end_threads(ouro_pool *pool)
{
    pool->limit = 0;
    ouro__pool_wake_all(pool);
    while (pool->threads > pool->busy)
        pthread_cond_wait(&pool->changed, &pool->lock);
    pool->left = pool->threads > 0;
    if (pool->left || !pool->has_ended)
        return;
    pthread_t last = pool->ended;
    pool->has_ended = false;
    pthread_mutex_unlock(&pool->lock);
    pthread_join(last, NULL);
    pthread_mutex_lock(&pool->lock);
}

/* ---- Pools of the user's --------------------------------------------------------------------- */

/* It is held for so short a time that trying again is better than sleeping. */
static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
#ifdef __GLIBC__
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

void ouro__pool_init(ouro_pool *pool, const char *name, unsigned limit)
{
    memset(pool, 0, sizeof(*pool));
    atomic_init(&pool->refs, 1);
    pool->fork_generation = ouro__fork_generation;
    snprintf(pool->name, sizeof(pool->name), "%s", name);
    pool->idle = DEFAULT_IDLE;
    pool->limit = limit;
    init_lock(&pool->lock);
    pthread_cond_init(&pool->changed, NULL);
    ouro__list_init(&pool->waiting);
    ouro__list_init(&pool->running);
    ouro__list_init(&pool->sleepers);
}

void ouro__pool_unref(ouro_pool *pool)
{
    if (pool->immortal || atomic_fetch_sub(&pool->refs, 1) > 1)
        return;
    if (!ouro__pool_forked(pool)) {
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->changed);
    }
    ouro__release(pool);
    ouro__allocator_let_go();
}

/* What pthread_attr_setstacksize(3) takes: whole pages, and not too few. */
static size_t stack_size_of(const ouro_pool_options *opts)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    size_t size = opts->stack_size;
    if (size == 0 || size > SIZE_MAX - page)
        return size;
    size = (size + page - 1) & ~(page - 1);
    return size < least ? least : size;
}

int ouro_pool_new(int threads, const ouro_pool_options *opts, ouro_pool **ret_pool)
{
    static const ouro_pool_options defaults;
    if (!ret_pool || threads < 1 || threads > OURO__POOL_THREADS_MAX)
        return -EINVAL;
    if (!opts)
        opts = &defaults;
    ouro_pool *pool = ouro__alloc(sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    ouro__allocator_hold();
    ouro__pool_init(pool, opts->name ? opts->name : "ouro", (unsigned)threads);
    pool->stack_size = stack_size_of(opts);
    if (opts->idle)
        pool->idle = opts->idle;
    *ret_pool = pool;
    return 0;
}

ouro_pool *ouro_pool_free(ouro_pool *pool)
{
    if (!pool)
        return NULL;
    if (!ouro__pool_forked(pool)) {
        struct ouro__link dropped;
        ouro__list_init(&dropped);
        pthread_mutex_lock(&pool->lock);
        pool->closed = true;
        ouro__pool_empty(pool, &dropped);
        ouro__pool_end_threads(pool);
        pthread_mutex_unlock(&pool->lock);
        ouro__jobs_deliver(&dropped);
    }
    ouro__pool_unref(pool);
    return NULL;
}
