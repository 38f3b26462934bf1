/* SPDX-License-Identifier: MIT */
/*
 * Loops on several threads that ask for the same few names, cancel, flush, and close while lookups
 * are under way.
 *
 * Each thread makes loop after loop. In each it asks for names at random, with ages at random,
 * cancels some, waits for others, and leaves the rest to the shutdown; now and then it forgets all
 * that is known. The resolver is our own: it answers after a moment, and fails for some names.
 *
 * Invariants: every answer is that of its name and has the port that was asked for; nothing hangs;
 * at the end nothing is under way, and flushing leaves no memory that the library holds on to.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ouro/ouro.h>

#include "resolve_int.h"
#include "stress.h"

enum { THREADS = 4, NAMES = 8, ASKS = 64 };

static atomic_int answered;

/* The number in "name-N.example". */
static int number_of(const char *host)
{
    return atoi(host + strlen("name-"));
}

static int slow_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **ret_list)
{
    struct addrinfo numbers = *hints;
    char ip[32];
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    if (number_of(host) == 0)
        return EAI_NONAME;
    snprintf(ip, sizeof ip, "192.0.2.%d", number_of(host));
    numbers.ai_flags = AI_NUMERICHOST;
    return getaddrinfo(ip, service, &numbers, ret_list);
}

struct asker {
    unsigned seed;
    ouro_future *asks[ASKS];
    int names[ASKS];
};

static unsigned next_of(struct asker *a, unsigned n)
{
    a->seed = a->seed * 1664525u + 1013904223u;
    return (a->seed >> 8) % n;
}

static void ask(struct asker *a, int i)
{
    static const ouro_ns ages[] = {0, 1, OURO_US(100), OURO_MS(1)};
    ouro_resolve_options opts = {.ttl = ages[next_of(a, 4)], .no_cache = next_of(a, 8) == 0};
    char host[32], port[8];
    a->names[i] = (int)next_of(a, NAMES);
    snprintf(host, sizeof host, "name-%d.example", a->names[i]);
    snprintf(port, sizeof port, "%d", i);
    a->asks[i] = ouro_resolve(host, port, &opts);
}

static void check_answer(const struct asker *a, int i)
{
    int64_t rc;
    char text[OURO_ADDRESS_TEXT], want[32];
    ouro_addresses *found = ouro_await_ptr(a->asks[i], &rc);
    if (!found) {
        must(rc == -OURO_ECHILDCANCELLED || (rc == -OURO_ENONAME && a->names[i] == 0));
        return;
    }
    snprintf(want, sizeof want, "192.0.2.%d:%d", a->names[i], i);
    ouro_address_print(&found->items[0], text, sizeof text);
    must(found->count == 1 && strcmp(text, want) == 0);
    ouro_addresses_free(found);
    atomic_fetch_add(&answered, 1);
}

static int64_t ask_around(void *arg)
{
    struct asker *a = arg;
    for (int i = 0; i < ASKS; i++) {
        ask(a, i);
        if (next_of(a, 128) == 0)
            ouro_resolve_flush();
        if (next_of(a, 4) == 0)
            ouro_yield();
        if (next_of(a, 4) == 0)
            ouro_cancel(a->asks[next_of(a, (unsigned)i + 1)]);
    }
    int half = (int)next_of(a, ASKS);
    for (int i = 0; i < half; i++)
        check_answer(a, i);
    for (int i = half; i < ASKS; i++)
        ouro_unref(a->asks[i]); /* the shutdown's */
    return 0;
}

static void no_report(const ouro_report *report, void *arg)
{
    (void)arg;
    must(report->kind == OURO_REPORT_UNREAD_ERROR && report->error == -OURO_ENONAME);
}

static int64_t ask_quietly(void *arg)
{
    must(ouro_report_set_handler(no_report, NULL) == 0);
    return ask_around(arg);
}

static void *thread(void *arg)
{
    struct asker a = {.seed = (unsigned)(uintptr_t)arg};
    for (int i = 0; i < STORM_STEPS(200, 40); i++)
        must(ouro_run(ask_quietly, &a, NULL) == 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    ouro__getaddrinfo = slow_getaddrinfo;
    for (uintptr_t i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, thread, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    while (ouro_resolve_counts().under_way)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    ouro_resolve_flush();
    for (int i = 0; i < 1000 && ouro_set_allocator(NULL) == -EBUSY; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* a thread is on its last steps */
    must(ouro_set_allocator(NULL) == 0);
    ouro_resolve_stats counts = ouro_resolve_counts();
    printf("%d answers, %llu lookups, %llu hits, %llu joined, %llu abandoned\n", answered,
           (unsigned long long)counts.lookups, (unsigned long long)counts.hits,
           (unsigned long long)counts.joined, (unsigned long long)counts.abandoned);
    fflush(stdout);
    must(answered > 0 && counts.hits > 0 && counts.joined > 0 && counts.abandoned > 0);
    return 0;
}
