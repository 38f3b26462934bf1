/* SPDX-License-Identifier: MIT */
/*
 * Writes without a copy: when they settle, how they break off, and where they are not made.
 * Loopback has to be forced to, and copies all the same.
 */
#include "send_test.h"

#include "send_int.h"

TestSuite(zero_copy, .timeout = 60);

#define MUCH ((size_t)4 << 20)

static void connect_forced(void)
{
    connect_out(TCP_PEER, NULL, true);
    out->out.zero_copy = OURO__ZERO_COPY_FORCED;
}

KernelTest(zero_copy, a_large_write_arrives_and_settles_when_its_memory_is_free)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_forced();
    ouro_future *small = ouro_stream_write(out, "small", 5);
    ouro_future *f = ouro_stream_write(out, bytes, MUCH);
    ouro_future *after = ouro_stream_write(out, "after", 5);
    take_all(got, 5);
    check_eq(memcmp(got, "small", 5), 0);
    take_all(got, MUCH);
    check_eq(memcmp(got, bytes, MUCH), 0);
    check_peer_reads("after");
    check_eq(ouro_await(small), 5);
    check_eq(ouro_await(f), MUCH);
    check_eq(ouro_await(after), 5);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(zero_copy, the_next_write_need_not_wait_for_the_notification)
{
    static char bytes[3][100000], got[300000];
    connect_forced();
    ouro_future *f[3];
    for (int i = 0; i < 3; i++) {
        memset(bytes[i], 'a' + i, sizeof(bytes[i]));
        f[i] = ouro_stream_write(out, bytes[i], sizeof(bytes[i]));
    }
    take_all(got, sizeof(got));
    for (size_t i = 0; i < 3; i++) {
        check_eq(got[i * 100000], 'a' + (int)i);
        check_eq(got[i * 100000 + 99999], 'a' + (int)i);
        check_eq(ouro_await(f[i]), 100000);
    }
    disconnect();
    return 0;
}

KernelTest(zero_copy, many_parts_arrive_whole)
{
    struct iovec parts[100];
    char *bytes = pattern(100 * 5000), *got = malloc(100 * 5000);
    connect_forced();
    for (size_t i = 0; i < 100; i++)
        parts[i] = (struct iovec){bytes + i * 5000, 5000};
    ouro_future *f = ouro_stream_writev(out, parts, 100);
    take_all(got, 100 * 5000);
    check_eq(memcmp(got, bytes, 100 * 5000), 0);
    check_eq(ouro_await(f), 100 * 5000);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(zero_copy, cancelled_half_way_it_says_exactly_what_the_peer_received)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_forced();
    ouro_future *f = stuck_write(bytes, MUCH);
    check_eq(ouro_cancel(f), 1);
    ouro_await(ouro_sleep(OURO_MS(2)));
    size_t all = take(got, MUCH);
    check_eq(write_text("x"), -EPIPE);
    int64_t written = ouro_stream_written(out);
    check(written > 0 && written < (int64_t)MUCH);
    take_all(got + all, (size_t)written - all);
    check_eq(memcmp(got, bytes, (size_t)written), 0);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    ouro_unref(f);
    out = ouro_stream_free(out);
    ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(recv(peer, got, 1, 0), 0);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(zero_copy, a_stream_closed_meanwhile_keeps_the_memory_lent)
{
    char *bytes = pattern(MUCH);
    connect_forced();
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *behind = ouro_stream_write(out, bytes, MUCH);
    out = ouro_stream_free(out);
    check_eq(ouro_await(behind), -EBADF);
    close_peer();
    check_eq(ouro_await(f), -EBADF);
    free(bytes);
    return 0;
}

KernelTest(zero_copy, a_reset_ends_it)
{
    char *bytes = pattern(MUCH);
    connect_forced();
    ouro_future *f = stuck_write(bytes, MUCH);
    reset_peer();
    int64_t rc = ouro_await(f);
    check(rc == -ECONNRESET || rc == -EPIPE);
    disconnect();
    free(bytes);
    return 0;
}

KernelTest(zero_copy, a_first_copy_that_is_reported_is_the_last_attempt)
{
    static char bytes[100000], got[100000];
    connect_out(TCP_PEER, NULL, false);
    out->out.zero_copy = OURO__ZERO_COPY_ON;
    ouro_future *f = ouro_stream_write(out, bytes, sizeof(bytes));
    take_all(got, sizeof(got));
    check_eq(ouro_await(f), sizeof(bytes));
    check_eq(out->out.zero_copy, OURO__ZERO_COPY_OFF);
    ouro_stream_stats st;
    check_eq(ouro_stream_stats_get(out, &st), 0);
    check_eq(st.zero_copies, 0);
    disconnect();
    return 0;
}

KernelTest(zero_copy, what_cannot_do_it_sends_a_copy)
{
    static char bytes[100000], got[100000];
    connect_out(UNIX_PEER, NULL, false);
    out->out.zero_copy = OURO__ZERO_COPY_ON;
    ouro_future *f = ouro_stream_write(out, bytes, sizeof(bytes));
    take_all(got, sizeof(got));
    check_eq(ouro_await(f), sizeof(bytes));
    check_eq(out->out.zero_copy, OURO__ZERO_COPY_OFF);
    disconnect();
    return 0;
}

KernelTest(zero_copy, a_peer_on_this_machine_is_not_bothered)
{
    static char bytes[100000], got[100000];
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, &(ouro_stream_options){.zero_copy = 1}, false);
        ouro_future *f = ouro_stream_write(out, bytes, sizeof(bytes));
        take_all(got, sizeof(got));
        check_eq(ouro_await(f), sizeof(bytes));
        check_eq(out->out.zero_copy, OURO__ZERO_COPY_OFF);
        disconnect();
    }
    return 0;
}
