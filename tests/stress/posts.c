/* SPDX-License-Identifier: MIT */
/*
 * Threads that post to one loop, as fast as they can, and go on while it closes.
 *
 * First part: each of four threads posts 100 000 items to a running loop. Invariants: every item
 * runs once, on the loop's thread, in the order of its poster, and is freed once, after it ran.
 *
 * Second part, many rounds: posters go on until they are refused, while the loop closes under them.
 * Invariants: a refusal is -ESHUTDOWN and leaves the item to its poster; whatever was accepted is
 * freed exactly once, run or not; none runs after the close.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ouro/ouro.h>

#include "stress.h"

enum { POSTERS = 4 };

struct poster {
    pthread_t thread;
    ouro_loop *loop;
    uint64_t to_post;
    bool refused;
    uint64_t accepted;
    /* What follows is touched on the loop's thread only, until that has closed. */
    uint64_t next;
    uint64_t freed;
};

struct item {
    struct poster *poster;
    uint64_t number;
    bool ran;
};

static pthread_t loop_thread;
static bool closed;
static uint64_t unrun, refused;

static void run_item(void *arg)
{
    struct item *item = arg;
    must(pthread_equal(pthread_self(), loop_thread));
    must(!closed);
    must(!item->ran);
    must(item->number == item->poster->next);
    item->ran = true;
    item->poster->next++;
}

static void free_item(void *arg)
{
    struct item *item = arg;
    must(pthread_equal(pthread_self(), loop_thread));
    item->poster->freed++;
    free(item);
}

/* Posts until it has posted all, or is refused. */
static void *post_items(void *arg)
{
    struct poster *p = arg;
    for (uint64_t i = 0; i < p->to_post; i++) {
        struct item *item = malloc(sizeof *item);
        must(item != NULL);
        *item = (struct item){.poster = p, .number = i};
        int rc = ouro_loop_post(p->loop, run_item, item, free_item);
        if (rc < 0) {
            must(rc == -ESHUTDOWN);
            must(!item->ran);
            free(item);
            p->refused = true;
            break;
        }
        p->accepted++;
    }
    ouro_loop_unref(p->loop);
    return NULL;
}

static void start(struct poster *posters, ouro_loop *loop, uint64_t to_post)
{
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = ouro_loop_ref(loop), .to_post = to_post};
        must(pthread_create(&posters[i].thread, NULL, post_items, &posters[i]) == 0);
    }
}

static void join(struct poster *posters)
{
    for (int i = 0; i < POSTERS; i++)
        must(pthread_join(posters[i].thread, NULL) == 0);
}

static ouro_loop *new_loop(void)
{
    ouro_loop *loop;
    int rc = ouro_loop_new(NULL, &loop);
    if (rc < 0) {
        char why[256];
        ouro_explain(rc, why, sizeof why);
        fprintf(stderr, "no loop: %s\n", why);
        exit(1);
    }
    return loop;
}

static bool all_ran(const struct poster *posters, uint64_t count)
{
    for (int i = 0; i < POSTERS; i++)
        if (posters[i].next < count)
            return false;
    return true;
}

static void run_all(uint64_t count)
{
    struct poster posters[POSTERS];
    ouro_loop *loop = new_loop();
    closed = false;
    start(posters, loop, count);
    while (!all_ran(posters, count))
        must(ouro_loop_step(loop, OURO_SEC(10)) >= 0);
    join(posters);
    while (ouro_loop_step(loop, 0) > 0)
        ;
    for (int i = 0; i < POSTERS; i++) {
        must(posters[i].accepted == count);
        must(posters[i].next == count);
        must(posters[i].freed == count);
    }
    ouro_loop_stats stats;
    must(ouro_loop_stats_get(loop, &stats) == 0);
    printf("%llu posts: %llu turns, %llu wakes\n", (unsigned long long)count * POSTERS,
           (unsigned long long)stats.turns, (unsigned long long)stats.wakes);
    must(ouro_loop_close(loop) == 0);
}

/* Close after some turns, so that it happens in all stages of the posters' work. What they post
 * is bounded, since together they are faster than the loop. */
static void close_under_them(int turns)
{
    struct poster posters[POSTERS];
    ouro_loop *loop = new_loop();
    closed = false;
    start(posters, loop, 3000);
    for (int i = 0; i < turns; i++)
        must(ouro_loop_step(loop, OURO_MS(1)) >= 0);
    if (turns % 2)
        must(ouro_loop_shutdown(loop, OURO_SEC(10)) == 0);
    int rc = ouro_loop_close(loop);
    while (rc == -EBUSY) { /* a post is being run or freed: go on until there is a quiet moment */
        must(ouro_loop_step(loop, 0) >= 0);
        rc = ouro_loop_close(loop);
    }
    must(rc == 0);
    closed = true;
    join(posters);
    for (int i = 0; i < POSTERS; i++) {
        must(posters[i].freed == posters[i].accepted);
        must(posters[i].next <= posters[i].accepted);
        unrun += posters[i].accepted - posters[i].next;
        refused += posters[i].refused;
    }
}

int main(int argc, char **argv)
{
    uint64_t count = 100000;
    int rounds = 200;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--count") == 0)
            count = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(argv[i + 1]);
    }
    loop_thread = pthread_self();
    run_all(count);
    for (int i = 0; i < rounds; i++)
        close_under_them(i % 12);
    printf("%d closes under fire: %llu posters refused, %llu accepted posts freed without a run\n",
           rounds, (unsigned long long)refused, (unsigned long long)unrun);
    return 0;
}
