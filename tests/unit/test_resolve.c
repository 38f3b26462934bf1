/* SPDX-License-Identifier: MIT */
/*
 * Names: numbers need nobody, the system is asked once for all who wait, what it says is kept for a
 * while, and nobody is held up by a lookup that does not end.
 *
 * Most tests put a resolver of their own in the system's place, which counts, and waits until it is
 * let go.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "other.h"
#include "resolve_int.h"

TestSuite(resolve, .timeout = 60);

/* ---- A resolver of our own ------------------------------------------------------------------- */

static atomic_int calls;  /* that have begun */
static atomic_int ended;  /* and ended */
static atomic_bool stuck; /* calls wait until this is false */
static atomic_int says;   /* an error of getaddrinfo(3), or 0 */

static void doze(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

static int fake_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **ret_list)
{
    (void)host;
    struct addrinfo numbers = *hints;
    numbers.ai_flags = AI_NUMERICHOST;
    atomic_fetch_add(&calls, 1);
    while (atomic_load(&stuck))
        doze();
    int rc = atomic_load(&says);
    if (rc == 0)
        rc = getaddrinfo(hints->ai_family == AF_INET6 ? "2001:db8::7" : "192.0.2.7", service,
                         &numbers, ret_list);
    atomic_fetch_add(&ended, 1);
    return rc;
}

static void use_fake(void)
{
    ouro__getaddrinfo = fake_getaddrinfo;
}

static void use_stuck(void)
{
    use_fake();
    atomic_store(&stuck, true);
}

static void let_go(void)
{
    atomic_store(&stuck, false);
}

/* Until so many calls have begun: the lane's threads take their time. */
static void await_calls(int n)
{
    while (atomic_load(&calls) < n)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
}

/* Until nothing is under way any more. */
static void await_quiet(void)
{
    while (ouro_resolve_counts().under_way)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
}

/* The addresses in one text, "a b c", or the error. */
static const char *text_of(ouro_future *f)
{
    static char text[1024];
    int64_t rc;
    ouro_addresses *list = ouro_await_ptr(f, &rc);
    size_t length = 0;
    text[0] = '\0';
    if (!list)
        snprintf(text, sizeof text, "%s", ouro_strerror(rc));
    for (size_t i = 0; list && i < list->count; i++) {
        char one[OURO_ADDRESS_TEXT];
        ouro_address_print(&list->items[i], one, sizeof one);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "", one);
    }
    ouro_addresses_free(list);
    return text;
}

static const char *resolved(const char *host, const char *service)
{
    return text_of(ouro_resolve(host, service, NULL));
}

/* ---- Numbers and the system ------------------------------------------------------------------ */

KernelTest(resolve, numbers_settle_at_once_and_ask_nobody)
{
    use_fake();
    ouro_future *f = ouro_resolve("192.0.2.1", "80", NULL);
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_text(text_of(f), "192.0.2.1:80");
    check_text(resolved("::1", "65535"), "[::1]:65535");
    check_text(resolved("fe80::1%lo", NULL), "[fe80::1%lo]:0");
    check_text(resolved("127.0.0.1", ""), "127.0.0.1:0");
    check_eq(calls, 0);
    check_eq(ouro_resolve_counts().numeric, 4);
    return 0;
}

KernelTest(resolve, the_system_knows_localhost_and_services)
{
    check_text(text_of(ouro_resolve("localhost", "443",
                                    &(ouro_resolve_options){.family = OURO_FAMILY_IP4})),
               "127.0.0.1:443");
    check_text(
        text_of(ouro_resolve("LOCALHOST", "7", &(ouro_resolve_options){.family = OURO_FAMILY_IP4})),
        "127.0.0.1:7");
    check_eq(ouro_resolve_counts().lookups, 1);
    check_eq(ouro_resolve_counts().hits, 1);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, a_name_under_invalid_fails_and_the_host_is_named)
{
    ouro_future *f = ouro_resolve("nobody.invalid", "80", NULL);
    int64_t rc = ouro_await(ouro_ref(f));
    check(rc == -OURO_ENONAME || rc == -OURO_ETRYAGAIN || rc == -OURO_ENOADDRESS);
    check_text(ouro_future_detail(f), "cannot resolve nobody.invalid:80");
    ouro_unref(f);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, each_error_of_the_system_has_its_code)
{
    static const struct {
        int eai;
        int code;
    } errors[] = {
        {EAI_NONAME, OURO_ENONAME},
        {EAI_NODATA, OURO_ENOADDRESS},
        {EAI_ADDRFAMILY, OURO_ENOADDRESS},
        {EAI_SERVICE, OURO_ENOSERVICE},
        {EAI_AGAIN, OURO_ETRYAGAIN},
        {EAI_FAIL, OURO_ERESOLVER},
        {EAI_MEMORY, ENOMEM},
        {EAI_FAMILY, EAFNOSUPPORT},
        {EAI_OVERFLOW, OURO_ERESOLVER},
        {EAI_SYSTEM, OURO_ERESOLVER},
    };
    use_fake();
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        atomic_store(&says, errors[i].eai);
        ouro_resolve_options anew = {.no_cache = 1};
        check_eq(ouro_await(ouro_resolve("example.org", NULL, &anew)), -errors[i].code);
        check(strcmp(ouro_strerror(-errors[i].code), "unknown error") != 0);
    }
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, what_is_malformed_is_refused_without_asking)
{
    static const struct {
        const char *host, *service;
        ouro_family family;
        int code;
    } bad[] = {
        {NULL, "80", OURO_FAMILY_ANY, -EINVAL},
        {"", "80", OURO_FAMILY_ANY, -EINVAL},
        {"a b", "80", OURO_FAMILY_ANY, -EINVAL},
        {"[::1]", "80", OURO_FAMILY_ANY, -EINVAL},
        {"::g", "80", OURO_FAMILY_ANY, -EINVAL},
        {"127.0.0.256", "80", OURO_FAMILY_ANY, -EINVAL},
        {"example.org", "65536", OURO_FAMILY_ANY, -ERANGE},
        {"example.org", "-1", OURO_FAMILY_ANY, -ENOENT},
        {"example.org", "a b", OURO_FAMILY_ANY, -EINVAL},
        {"example.org", "080", OURO_FAMILY_ANY, -EINVAL},
        {"::1", "80", OURO_FAMILY_IP4, -EAFNOSUPPORT},
        {"127.0.0.1", "80", OURO_FAMILY_IP6, -EAFNOSUPPORT},
        {"fe80::1%nosuchinterface", "80", OURO_FAMILY_ANY, -ENODEV},
        {"example.org", "80", (ouro_family)3, -EINVAL},
    };
    char label[80];
    memset(label, 'a', sizeof label);
    label[64] = '\0';
    use_fake();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ouro_resolve_options opts = {.family = bad[i].family};
        int64_t rc = ouro_await(ouro_resolve(bad[i].host, bad[i].service, &opts));
        if (bad[i].code != -ENOENT)
            cr_assert_eq(rc, bad[i].code, "%zu: %lld", i, (long long)rc);
    }
    check_eq(ouro_await(ouro_resolve(label, "80", NULL)), -ENAMETOOLONG);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, names_of_services_are_the_systems)
{
    use_fake();
    check_text(resolved("example.org", "domain"), "192.0.2.7:53");
    check_text(resolved("::1", "no-such-service"), "there is no service of that name");
    check_eq(ouro_await(ouro_resolve("example.org", "no-such-service", NULL)), -OURO_ENOSERVICE);
    ouro_resolve_flush();
    return 0;
}

/* ---- One lookup for all ---------------------------------------------------------------------- */

KernelTest(resolve, who_asks_for_the_same_name_waits_for_the_same_lookup)
{
    enum { N = 100 };
    ouro_future *f[N];
    use_stuck();
    for (int i = 0; i < N; i++) {
        char port[8];
        snprintf(port, sizeof port, "%d", i);
        f[i] = ouro_resolve(i % 2 ? "example.org" : "Example.ORG", port, NULL);
    }
    await_calls(1);
    ouro_resolve_options ip6 = {.family = OURO_FAMILY_IP6};
    ouro_future *other = ouro_resolve("example.org", "1", &ip6);
    await_calls(2); /* another family is another question */
    let_go();
    for (int i = 0; i < N; i++) {
        char want[32];
        snprintf(want, sizeof want, "192.0.2.7:%d", i);
        check_text(text_of(f[i]), want);
    }
    check_text(text_of(other), "[2001:db8::7]:1");
    check_eq(calls, 2);
    check_eq(ouro_resolve_counts().joined, N - 1);
    check_eq(ouro_resolve_flush(), 2);
    return 0;
}

static int64_t ask_once(void *arg)
{
    (void)arg;
    check_text(resolved("example.org", "80"), "192.0.2.7:80");
    return 0;
}

static void *ask_on_a_loop_of_its_own(void *arg)
{
    check_eq(ouro_run(ask_once, arg, NULL), 0);
    return NULL;
}

Test(resolve, loops_of_several_threads_share_a_lookup_and_its_answer)
{
    pthread_t threads[4];
    use_stuck();
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask_on_a_loop_of_its_own, NULL);
    while (ouro_resolve_counts().joined < 3)
        doze();
    let_go();
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_eq(calls, 1);
    check_eq(ouro_run(ask_once, NULL, NULL), 0); /* known, though every loop has gone */
    check_eq(calls, 1);
    check_eq(ouro_resolve_flush(), 1);
}

/* As many lookups as the lane has threads, and one that has to wait for one of them. */
static int64_t ask_five(void *arg)
{
    static const char *const hosts[] = {"a.example", "b.example", "c.example", "d.example"};
    (void)arg;
    for (int i = 0; i < 4; i++)
        ouro_unref(ouro_resolve(hosts[i], "80", NULL));
    await_calls(4);
    ouro_unref(ouro_resolve("example.org", "80", NULL));
    while (ouro_resolve_counts().joined < 1)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    return 0;
}

static void *ask_five_and_leave(void *arg)
{
    check_eq(ouro_run(ask_five, arg, NULL), 0);
    return NULL;
}

/* Waits for a lookup that another loop has begun, and that is dropped when that loop closes, since
 * this one has not used the lane so far. */
static ouro_future *join_dropped_lookup(void)
{
    pthread_t thread;
    use_stuck();
    check_eq(pthread_create(&thread, NULL, ask_five_and_leave, NULL), 0);
    while (ouro_resolve_counts().under_way < 5)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    ouro_future *f = ouro_resolve("example.org", "443", NULL);
    check_eq(ouro_resolve_counts().joined, 1);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(ouro_resolve_counts().under_way, 4);
    check_eq(ouro_future_state(f), OURO_PENDING);
    return f;
}

KernelTest(resolve, a_lookup_that_goes_with_its_loop_is_made_again_for_who_joined_it)
{
    ouro_future *f = join_dropped_lookup();
    let_go();
    check_text(text_of(f), "192.0.2.7:443");
    await_quiet();
    check_eq(calls, 5);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, a_lookup_that_goes_with_its_loop_is_not_made_again_for_who_was_cancelled)
{
    ouro_future *f = join_dropped_lookup();
    ouro_cancel(f);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    let_go();
    await_quiet();
    check_eq(calls, 4);
    ouro_resolve_flush();
    return 0;
}

/* ---- What is known --------------------------------------------------------------------------- */

KernelTest(resolve, an_answer_is_kept_until_it_is_too_old_for_who_asks)
{
    use_fake();
    check_text(resolved("example.org", "1"), "192.0.2.7:1");
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    ouro_future *f = ouro_resolve("example.org", "2", NULL);
    check_eq(ouro_future_state(f), OURO_VALUE); /* at once */
    check_text(text_of(f), "192.0.2.7:2");
    check_eq(calls, 1);
    ouro_resolve_options impatient = {.ttl = OURO_MS(10)};
    check_text(text_of(ouro_resolve("example.org", "3", &impatient)), "192.0.2.7:3");
    check_eq(calls, 2);
    ouro_resolve_options anew = {.no_cache = 1};
    check_text(text_of(ouro_resolve("example.org", "4", &anew)), "192.0.2.7:4");
    check_eq(calls, 3);
    check_eq(ouro_resolve_counts().hits, 1);
    check_eq(ouro_resolve_flush(), 1);
    check_eq(ouro_resolve_counts().known, 0);
    check_text(resolved("example.org", "5"), "192.0.2.7:5");
    check_eq(calls, 4);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, a_failure_is_kept_for_a_shorter_time)
{
    use_fake();
    atomic_store(&says, EAI_NONAME);
    ouro_resolve_options brief = {.negative_ttl = OURO_MS(10)};
    check_eq(ouro_await(ouro_resolve("example.org", NULL, NULL)), -OURO_ENONAME);
    ouro_future *f = ouro_resolve("example.org", NULL, NULL);
    check_eq(ouro_future_state(f), OURO_ERROR);
    check_text(ouro_future_detail(f), "cannot resolve example.org");
    check_eq(ouro_await(f), -OURO_ENONAME);
    check_eq(calls, 1);
    check_eq(ouro_resolve_counts().failures, 1);
    atomic_store(&says, 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_text(text_of(ouro_resolve("example.org", "1", &brief)), "192.0.2.7:1");
    check_eq(calls, 2);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, a_failure_is_forgotten_after_a_second)
{
    use_fake();
    atomic_store(&says, EAI_AGAIN);
    check_eq(ouro_await(ouro_resolve("example.org", NULL, NULL)), -OURO_ETRYAGAIN);
    atomic_store(&says, 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(1100))), 0);
    check_text(resolved("example.org", "1"), "192.0.2.7:1");
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, the_1024_names_used_last_are_kept)
{
    use_fake();
    char host[32];
    for (int i = 0; i <= 1024; i++) {
        snprintf(host, sizeof host, "host-%d.example", i);
        check_text(resolved(host, "1"), "192.0.2.7:1");
        check_text(resolved("host-0.example", "1"), "192.0.2.7:1");
    }
    ouro_resolve_stats counts = ouro_resolve_counts();
    check_eq(counts.known, 1024);
    check_eq(counts.evicted, 1);
    int before = calls;
    check_text(resolved("host-0.example", "1"), "192.0.2.7:1");
    check_text(resolved("host-2.example", "1"), "192.0.2.7:1");
    check_eq(calls, before);
    check_text(resolved("host-1.example", "1"), "192.0.2.7:1"); /* this one had to go */
    check_eq(calls, before + 1);
    check_eq(ouro_resolve_flush(), 1024);
    return 0;
}

KernelTest(resolve, what_is_flushed_under_way_answers_its_askers_alone)
{
    use_stuck();
    ouro_future *old = ouro_resolve("example.org", "1", NULL);
    await_calls(1);
    check_eq(ouro_resolve_flush(), 0);
    ouro_future *young = ouro_resolve("example.org", "2", NULL);
    await_calls(2);
    let_go();
    check_text(text_of(old), "192.0.2.7:1");
    check_text(text_of(young), "192.0.2.7:2");
    check_eq(ouro_resolve_counts().known, 1);
    check_eq(ouro_resolve_flush(), 1);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

KernelTest(resolve, a_cancelled_lookup_settles_at_once_and_its_answer_is_kept)
{
    use_stuck();
    ouro_future *f = ouro_resolve("example.org", "80", NULL);
    await_calls(1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    check_eq(ouro_await(ouro_timeout(ouro_resolve("example.org", "80", NULL), OURO_MS(1))),
             -ETIMEDOUT);
    check_eq(ouro_resolve_counts().abandoned, 2);
    check_eq(ouro_resolve_counts().under_way, 1);
    let_go();
    await_quiet();
    f = ouro_resolve("example.org", "80", NULL);
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_text(text_of(f), "192.0.2.7:80");
    check_eq(calls, 1);
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, cancelling_one_of_those_who_wait_leaves_the_others)
{
    use_stuck();
    ouro_future *first = ouro_resolve("example.org", "1", NULL);
    ouro_future *second = ouro_resolve("example.org", "2", NULL);
    await_calls(1);
    ouro_cancel(first);
    let_go();
    check_eq(ouro_await(first), -OURO_ECHILDCANCELLED);
    check_text(text_of(second), "192.0.2.7:2");
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, a_lookup_may_be_cancelled_before_its_thread_has_begun)
{
    use_stuck();
    ouro_future *f[16];
    for (int i = 0; i < 16; i++) { /* more than the lane has threads */
        char host[32];
        snprintf(host, sizeof host, "host-%d.example", i);
        f[i] = ouro_resolve(host, "1", NULL);
    }
    for (int i = 0; i < 16; i++) {
        ouro_cancel(f[i]);
        check_eq(ouro_future_state(f[i]), OURO_CANCELLED);
        ouro_unref(f[i]);
    }
    let_go();
    await_quiet();
    check_eq(calls, 16);
    check_eq(ouro_resolve_flush(), 16);
    return 0;
}

KernelTest(resolve, a_settled_lookup_cannot_be_cancelled)
{
    use_fake();
    ouro_future *f = ouro_resolve("example.org", "1", NULL);
    while (ouro_future_state(f) == OURO_PENDING)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_cancel(f), 0);
    check_text(text_of(f), "192.0.2.7:1");
    ouro_resolve_flush();
    return 0;
}

KernelTest(resolve, an_answer_nobody_takes_is_freed)
{
    use_fake();
    ouro_detach(ouro_resolve("example.org", "1", NULL));
    ouro_detach(ouro_resolve("127.0.0.1", "1", NULL));
    await_quiet();
    ouro_resolve_flush();
    return 0;
}

static ouro_ns wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ouro_ns)now.tv_sec * OURO_SEC(1) + (ouro_ns)now.tv_nsec;
}

static int64_t ask_and_leave(void *arg)
{
    for (int i = 0; i < 8; i++) { /* some run, some wait for a thread */
        char host[32];
        snprintf(host, sizeof host, "stuck-%d.example", i);
        ouro_detach(ouro_resolve(host, "1", NULL));
    }
    await_calls(4);
    (void)arg;
    return 0;
}

Test(resolve, neither_shutdown_nor_close_waits_for_a_stuck_lookup)
{
    use_stuck();
    ouro_ns before = wall();
    check_eq(ouro_run(ask_and_leave, NULL, NULL), 0);
    check(wall() - before < OURO_SEC(3)); /* the lookups would take for ever */
    check_eq(ended, 0);
    check_eq(ouro_resolve_counts().under_way, 4); /* those that waited will never run */
    let_go();
    while (ouro_resolve_counts().under_way)
        doze();
    check_eq(calls, 4);
    check_eq(ouro_resolve_flush(), 4);
}

Test(resolve, a_stuck_lookup_does_not_keep_a_loop_running)
{
    use_stuck();
    begin_kernel();
    ouro_future *f = ouro_resolve("example.org", "1", NULL);
    ouro_cancel(f);
    ouro_unref(f);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_resolve_counts().under_way, 1);
    let_go();
    while (ouro_resolve_counts().under_way)
        doze();
    end();
    ouro_resolve_flush();
}

/* ---- No memory ------------------------------------------------------------------------------- */

static int64_t ask_with_less_and_less(void *arg)
{
    (void)arg;
    int64_t rc = -ENOMEM;
    for (int n = 0; rc == -ENOMEM; n++) {
        ouro_resolve_flush();
        grants = n;
        ouro_future *f = ouro_resolve("example.org", "1", NULL);
        grants = -1;
        ouro_addresses_free(ouro_await_ptr(f, &rc));
    }
    check_eq(rc, 1);
    for (int n = 0; n < 8; n++) { /* the same when it is known */
        grants = n;
        ouro_future *f = ouro_resolve("example.org", "1", NULL);
        grants = -1;
        ouro_addresses_free(ouro_await_ptr(f, &rc));
        check(rc == 1 || rc == -ENOMEM);
    }
    check_eq(rc, 1);
    return 0;
}

Test(resolve, without_memory_it_fails_and_nothing_is_lost)
{
    ration_memory();
    use_fake();
    begin_kernel();
    check_eq(run_main(ask_with_less_and_less, NULL), 0);
    end();
    check_eq(ouro_resolve_flush(), 1);
    check_eq(ouro_set_allocator(NULL), 0); /* nobody holds on to it */
}

/* ---- Without a loop, after a fork ------------------------------------------------------------ */

Test(resolve, without_a_loop_nothing_is_asked)
{
    use_fake();
    ouro_future *f = ouro_resolve("example.org", "1", NULL);
    check_eq(ouro_future_result(f).n, -EPERM);
    ouro_unref(f);
    check_eq(calls, 0);
    check_eq(ouro_resolve_flush(), 0);
    check(ouro_addresses_free(NULL) == NULL);
}

static int ask_in_child(void)
{
    atomic_store(&stuck, false);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(ouro_resolve_counts().known == 1); /* what was known before the fork */
    child_check(ouro_resolve_counts().under_way == 0);
    atomic_store(&calls, 0);
    return ouro_run(ask_once, NULL, NULL) == 0 && calls == 1 ? 0 : 1;
}

Test(resolve, the_child_of_a_fork_asks_for_itself)
{
    begin_kernel();
    use_fake();
    ouro_future *known = ouro_resolve("known.example", "1", NULL);
    while (ouro_future_state(known) == OURO_PENDING)
        check(ouro_loop_step(ouro_loop_current(), OURO_MS(1)) >= 0);
    ouro_unref(known);
    use_stuck();
    ouro_future *f = ouro_resolve("example.org", "1", NULL);
    while (atomic_load(&calls) < 2)
        doze();
    check_child(ask_in_child, NULL, 0);
    let_go();
    while (ouro_future_state(f) == OURO_PENDING)
        check(ouro_loop_step(ouro_loop_current(), OURO_MS(1)) >= 0);
    ouro_unref(f);
    end();
    ouro_resolve_flush();
}
