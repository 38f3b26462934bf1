/* SPDX-License-Identifier: MIT */
/*
 * The lanes: the three pools that every process has.
 *
 * They are made once and never freed; what comes and goes is their threads. A loop enters when it
 * first uses a lane, and leaves when it closes; the last to leave has the threads end and joins
 * them, so that a process without loops has no threads of ours. Between the two, the limit of a
 * lane's threads is its size; with no loop, it is 0.
 *
 * A thread whose job outlives its loop, because it was abandoned or did not end in time, is not
 * waited for.
 */
#include "pool_int.h"

#include <ouro/thread.h>

#define LANES        (OURO_LANE_DNS + 1)
#define DISK_THREADS 8
#define DNS_THREADS  4

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool made;
static pthread_mutex_t lock; /* of what follows; taken before a pool's */
static unsigned loops;       /* that have entered */
static unsigned sizes[LANES];
static _Alignas(64) ouro_pool lanes[LANES];

static void init(void)
{
    static const char *const names[] = {"ouro-cpu", "ouro-disk", "ouro-dns"};
    pthread_mutex_init(&lock, NULL);
    loops = 0;
    for (size_t i = 0; i < LANES; i++) {
        ouro__pool_init(&lanes[i], names[i], 0);
        lanes[i].immortal = true;
    }
}

static void make(void)
{
    sizes[OURO_LANE_CPU] = (unsigned)ouro_cpu_count();
    sizes[OURO_LANE_DISK] = DISK_THREADS;
    sizes[OURO_LANE_DNS] = DNS_THREADS;
    init();
    made = true;
}

void ouro__lanes_in_child(void)
{
    if (made)
        init();
}

static void open_lanes(void)
{
    for (size_t i = 0; i < LANES; i++) {
        pthread_mutex_lock(&lanes[i].lock);
        lanes[i].left = false;
        ouro__pool_set_limit(&lanes[i], sizes[i]);
        pthread_mutex_unlock(&lanes[i].lock);
    }
}

/* What still waits is for nobody: a job that somebody awaits would keep its loop from closing. */
static void end_lanes(struct ouro__link *unwanted)
{
    for (size_t i = 0; i < LANES; i++) {
        pthread_mutex_lock(&lanes[i].lock);
        ouro__pool_empty(&lanes[i], unwanted);
        ouro__pool_end_threads(&lanes[i]);
        pthread_mutex_unlock(&lanes[i].lock);
    }
}

ouro_pool *ouro__lane_enter(ouro_loop *loop, ouro_lane lane)
{
    if (!loop->uses_lanes) {
        pthread_once(&once, make);
        pthread_mutex_lock(&lock);
        if (loops++ == 0)
            open_lanes();
        pthread_mutex_unlock(&lock);
        loop->uses_lanes = true;
    }
    return &lanes[lane];
}

void ouro__lanes_leave(ouro_loop *loop)
{
    if (!loop->uses_lanes)
        return;
    struct ouro__link unwanted;
    ouro__list_init(&unwanted);
    pthread_mutex_lock(&lock);
    if (--loops == 0)
        end_lanes(&unwanted);
    pthread_mutex_unlock(&lock);
    ouro__jobs_deliver(&unwanted);
    loop->uses_lanes = false;
}

int ouro_lane_set_threads(ouro_lane lane, int threads)
{
    if (lane > OURO_LANE_DNS || threads < 1 || threads > OURO__POOL_THREADS_MAX)
        return -EINVAL;
    pthread_once(&once, make);
    pthread_mutex_lock(&lock);
    sizes[lane] = (unsigned)threads;
    if (loops) {
        pthread_mutex_lock(&lanes[lane].lock);
        ouro__pool_set_limit(&lanes[lane], (unsigned)threads);
        pthread_mutex_unlock(&lanes[lane].lock);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}
