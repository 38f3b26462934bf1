/* SPDX-License-Identifier: MIT */
/*
 * Bytes that are put: together, in order with writes, and with marks.
 */
#include "send_test.h"

#include <fcntl.h>
#include <limits.h>

TestSuite(put, .timeout = 60);

#define MUCH ((size_t)1 << 20)

static ouro_stream_stats out_stats(void)
{
    ouro_stream_stats st;
    check_eq(ouro_stream_stats_get(out, &st), 0);
    return st;
}

KernelTest(put, what_is_put_in_a_turn_goes_out_together)
{
    char text[64] = "";
    connect_out(UNIX_PEER, NULL, false);
    for (int i = 0; i < 10; i++) {
        check_eq(ouro_stream_put(out, "ab", 2), 0);
        strcat(text, "ab");
    }
    check_eq(out_stats().unsent, 20);
    check_eq(ouro_await(ouro_stream_flush(out)), 0);
    check_eq(out_stats().sends, 1);
    check_eq(out_stats().bytes_out, 20);
    check_eq(out_stats().unsent, 0);
    check_peer_reads(text);
    disconnect();
    return 0;
}

KernelTest(put, nobody_need_wait_for_it)
{
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_stream_put(out, "by itself", 9), 0);
    check_eq(ouro_stream_put(out, NULL, 0), 0);
    check_peer_reads("by itself");
    disconnect();
    return 0;
}

KernelTest(put, puts_and_writes_keep_their_order)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH + 6);
    connect_out(UNIX_PEER, NULL, true);
    check_eq(ouro_stream_put(out, "a", 1), 0);
    ouro_future *b = ouro_stream_write(out, "b", 1);
    check_eq(ouro_stream_put(out, "c", 1), 0);
    ouro_future *much = ouro_stream_write(out, bytes, MUCH);
    check_eq(ouro_stream_put(out, "d", 1), 0);
    ouro_future *flush = ouro_stream_flush(out);
    ouro_future *e = ouro_stream_write(out, "e", 1);
    check_eq(ouro_stream_put(out, "f", 1), 0);
    take_all(got, MUCH + 6);
    check_eq(memcmp(got, "abc", 3), 0);
    check_eq(memcmp(got + 3, bytes, MUCH), 0);
    check_eq(memcmp(got + 3 + MUCH, "def", 3), 0);
    check_eq(ouro_await(b), 1);
    check_eq(ouro_await(much), MUCH);
    check_eq(ouro_await(flush), 0);
    check_eq(ouro_await(e), 1);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(put, above_the_high_mark_it_refuses_until_the_low_one_is_reached)
{
    char bytes[1000], got[1000];
    memset(bytes, 'x', sizeof(bytes));
    connect_out(UNIX_PEER, &(ouro_stream_options){.high_water = 100000, .low_water = 10000}, true);
    check_eq(ouro_await(ouro_stream_drain(out)), 0);
    int64_t n = 0;
    while (ouro_stream_put(out, bytes, sizeof(bytes)) == 0)
        n++;
    check_eq(n, 100);
    check_eq(ouro_stream_put(out, bytes, 1), -EAGAIN);
    check_eq(ouro_stream_put(out, bytes, 100001), -EMSGSIZE);
    ouro_future *drain = ouro_stream_drain(out), *other = ouro_stream_drain(out);
    ouro_future *left = ouro_stream_drain(out);
    check_eq(ouro_cancel(left), 1);
    ouro_unref(left);
    int64_t read = 0;
    while (ouro_future_state(drain) == OURO_PENDING && read < n) {
        check(out_stats().unsent > 10000);
        take_all(got, sizeof(got));
        read++;
        ouro_await(ouro_sleep(OURO_US(500)));
    }
    check(out_stats().unsent <= 10000);
    check(read < n);
    check_eq(ouro_await(drain), 0);
    check_eq(ouro_await(other), 0);
    check_eq(ouro_stream_put(out, bytes, sizeof(bytes)), 0);
    for (n++; read < n; read++)
        take_all(got, sizeof(got));
    disconnect();
    return 0;
}

KernelTest(put, many_go_to_a_slow_reader_and_none_is_lost)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, &(ouro_stream_options){.high_water = 5000}, true);
    size_t sent = 0, read = 0;
    while (read < MUCH) {
        size_t size = 1 + sent * 7919 % 1777;
        if (size > MUCH - sent)
            size = MUCH - sent;
        int rc = sent < MUCH ? ouro_stream_put(out, bytes + sent, size) : -EAGAIN;
        if (rc == 0) {
            sent += size;
            continue;
        }
        check_eq(rc, -EAGAIN);
        ouro_yield();
        read += take(got + read, 3000);
    }
    check_eq(memcmp(got, bytes, MUCH), 0);
    check_eq(ouro_await(ouro_stream_flush(out)), 0);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(put, errors_surface_at_the_next_call)
{
    connect_out(UNIX_PEER, NULL, false);
    close_peer();
    check_eq(ouro_stream_put(out, "x", 1), 0);
    ouro_future *flush = ouro_stream_flush(out);
    check_eq(ouro_await(flush), -EPIPE);
    check_eq(ouro_stream_put(out, "x", 1), -EPIPE);
    check_eq(ouro_await(ouro_stream_drain(out)), -EPIPE);
    check_eq(ouro_await(ouro_stream_flush(out)), -EPIPE);
    check_eq(ouro_await(ouro_stream_shutdown(out, SHUT_WR)), -EPIPE);
    disconnect();
    return 0;
}

KernelTest(put, a_write_broken_off_is_epipe_for_what_was_put_behind_it)
{
    char *bytes = pattern(MUCH);
    connect_out(UNIX_PEER, &(ouro_stream_options){.low_water = 1}, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    check_eq(ouro_stream_put(out, "xx", 2), 0);
    ouro_future *flush = ouro_stream_flush(out), *drain = ouro_stream_drain(out);
    ouro_cancel(f);
    ouro_join(f);
    ouro_unref(f);
    check_eq(ouro_await(flush), -EPIPE);
    check_eq(ouro_await(drain), -EPIPE);
    check_eq(ouro_stream_put(out, "x", 1), -EPIPE);
    disconnect();
    free(bytes);
    return 0;
}

KernelTest(put, a_cancelled_flush_changes_nothing)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    check_eq(ouro_stream_put(out, "put", 3), 0);
    ouro_future *flush = ouro_stream_flush(out);
    check_eq(ouro_cancel(flush), 1);
    check_eq(ouro_future_state(flush), OURO_CANCELLED);
    ouro_unref(flush);
    take_all(got, MUCH);
    check_eq(ouro_await(f), MUCH);
    check_peer_reads("put");
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(put, closing_drops_what_was_not_sent)
{
    char *bytes = pattern(MUCH);
    connect_out(UNIX_PEER, &(ouro_stream_options){.high_water = 2 * MUCH, .low_water = 1}, true);
    check_eq(ouro_stream_put(out, bytes, MUCH), 0);
    ouro_future *drain = ouro_stream_drain(out), *flush = ouro_stream_flush(out);
    ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(ouro_stream_put(out, "x", 1), 0);
    out = ouro_stream_free(out);
    check_eq(ouro_await(drain), -EBADF);
    check_eq(ouro_await(flush), -EBADF);
    disconnect();
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_stream_put(out, "x", 1), 0); /* before the end of the turn */
    disconnect();
    free(bytes);
    return 0;
}

KernelTest(put, what_makes_no_sense_is_refused)
{
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_stream_put(NULL, "x", 1), -EINVAL);
    check_eq(ouro_stream_put(out, NULL, 1), -EINVAL);
    check_eq(ouro_stream_put(out, "x", SIZE_MAX), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_drain(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_flush(NULL)), -EINVAL);
    disconnect();
    return 0;
}

KernelTest(put, without_a_mark_an_absurd_size_is_refused)
{
    connect_out(UNIX_PEER, &(ouro_stream_options){.high_water = SIZE_MAX}, false);
    check_eq(ouro_stream_put(out, "x", SIZE_MAX), -EMSGSIZE);
    check_eq(ouro_stream_put(out, "x", (size_t)SSIZE_MAX + 1), -EMSGSIZE);
    check_eq(ouro_stream_put(out, "still there", 11), 0);
    check_peer_reads("still there");
    disconnect();
    return 0;
}

/* ---- The loop's end -------------------------------------------------------------------------- */

static int fd_of_out;
static char *stuck;

static int64_t leave_things_stuck(void *what)
{
    connect_out(UNIX_PEER, &(ouro_stream_options){.high_water = 2 * MUCH}, true);
    fd_of_out = ouro_stream_fd(out);
    if (what)
        ouro_detach(stuck_write(stuck, MUCH));
    check_eq(ouro_stream_put(out, stuck, MUCH), 0);
    ouro_await(ouro_sleep(OURO_MS(5)));
    return 0;
}

Test(put, a_loop_that_ends_waits_for_no_peer)
{
    stuck = pattern(MUCH);
    for (int with_a_write = 0; with_a_write < 2; with_a_write++) {
        check_eq(ouro_run(leave_things_stuck, with_a_write ? stuck : NULL, NULL), 0);
        check_eq(fcntl(fd_of_out, F_GETFD), -1);
        disconnect(); /* allowed after the loop's close */
    }
    free(stuck);
}
