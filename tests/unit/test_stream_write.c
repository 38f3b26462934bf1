/* SPDX-License-Identifier: MIT */
/*
 * Writes: whole and in order, whatever the kernel takes at a time; and how they break off.
 */
#include "send_test.h"

#include "other.h"

#include <limits.h>

TestSuite(write, .timeout = 60);

#define MUCH ((size_t)4 << 20)

/* ---- Success --------------------------------------------------------------------------------- */

KernelTest(write, a_write_is_what_the_peer_reads)
{
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, false);
        check_eq(write_text("hello"), 5);
        check_peer_reads("hello");
        check_eq(ouro_stream_written(out), 0);
        disconnect();
    }
    return 0;
}

KernelTest(write, short_counts_are_continued)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, true);
        ouro_future *f = stuck_write(bytes, MUCH);
        take_all(got, MUCH);
        check_eq(ouro_await(f), MUCH);
        check_eq(memcmp(got, bytes, MUCH), 0);
        disconnect();
    }
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, non_blocking_mode_does_not_matter)
{
    int yes = 1;
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(TCP_PEER, NULL, true);
    ioctl(ouro_stream_fd(out), FIONBIO, &yes);
    ouro_future *f = stuck_write(bytes, MUCH);
    take_all(got, MUCH);
    check_eq(ouro_await(f), MUCH);
    check_eq(memcmp(got, bytes, MUCH), 0);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, several_at_once_stay_whole_and_in_order)
{
    enum { N = 200 };
    char text[N * 8 + 1], got[N * 8];
    ouro_future *f[N];
    connect_out(UNIX_PEER, NULL, false);
    for (int i = 0; i < N; i++) {
        snprintf(text + 8 * i, 9, "%07d\n", i);
        f[i] = ouro_stream_write(out, text + 8 * i, 8);
    }
    take_all(got, sizeof(got));
    check_eq(memcmp(got, text, sizeof(got)), 0);
    for (int i = 0; i < N; i++)
        check_eq(ouro_await(f[i]), 8);
    disconnect();
    return 0;
}

enum { RECORDS = 100, RECORD = 5000 };

static int64_t write_records(void *arg)
{
    char record[RECORD];
    memset(record, *(char *)arg, sizeof(record));
    for (int i = 0; i < RECORDS; i++)
        check_eq(ouro_await(ouro_stream_write(out, record, sizeof(record))), RECORD);
    return 0;
}

KernelTest(write, two_tasks_that_write_do_not_mix_their_records)
{
    char a = 'a', b = 'b', got[RECORD];
    int seen[2] = {0, 0};
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *writers[2] = {ouro_spawn(write_records, &a), ouro_spawn(write_records, &b)};
    for (int i = 0; i < 2 * RECORDS; i++) {
        take_all(got, sizeof(got));
        seen[got[0] - 'a']++;
        for (int k = 0; k < RECORD; k++)
            check_eq(got[k], got[0]);
    }
    check_eq(seen[0], RECORDS);
    check_eq(seen[1], RECORDS);
    check_eq(ouro_await(ouro_gather(writers, 2, OURO_GATHER_ALL, NULL)), 0);
    disconnect();
    return 0;
}

KernelTest(write, a_thousand_parts_are_one_write)
{
    struct iovec parts[1024];
    char *bytes = pattern(1024 * 100), *got = malloc(1024 * 100);
    for (size_t i = 0; i < 1024; i++)
        parts[i] = (struct iovec){bytes + i * 100, 100};
    connect_out(TCP_PEER, NULL, true);
    ouro_future *f = ouro_stream_writev(out, parts, 1024);
    ouro_future *after = ouro_stream_write(out, "!", 1);
    take_all(got, 1024 * 100);
    check_eq(ouro_await(f), 1024 * 100);
    check_eq(memcmp(got, bytes, 1024 * 100), 0);
    check_peer_reads("!");
    check_eq(ouro_await(after), 1);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, empty_writes_wait_for_their_turn)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    check_eq(ouro_await(ouro_stream_write(out, NULL, 0)), 0);
    check_eq(ouro_await(ouro_stream_writev(out, NULL, 0)), 0);
    ouro_future *f = stuck_write(bytes, MUCH);
    const struct iovec empty[3] = {{NULL, 0}, {bytes, 0}, {NULL, 0}};
    ouro_future *nothing = ouro_stream_writev(out, empty, 3);
    check_eq(ouro_future_state(nothing), OURO_PENDING);
    take_all(got, MUCH);
    check_eq(ouro_await(nothing), 0);
    check_eq(ouro_await(f), MUCH);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, parts_may_be_empty)
{
    char ab[] = "ab", c[] = "c";
    const struct iovec parts[] = {{NULL, 0}, {ab, 2}, {NULL, 0}, {c, 1}, {NULL, 0}};
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_writev(out, parts, 5)), 3);
    check_peer_reads("abc");
    disconnect();
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

KernelTest(write, what_makes_no_sense_is_refused)
{
    static struct iovec many[1025];
    const struct iovec vast[2] = {{many, SSIZE_MAX}, {many, 1}};
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_write(NULL, "a", 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_write(out, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_write(out, "a", SIZE_MAX)), -EINVAL);
    check_eq(ouro_await(ouro_stream_writev(out, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_writev(out, many, 1025)), -EINVAL);
    check_eq(ouro_await(ouro_stream_writev(out, vast, 2)), -EINVAL);
    check_eq(ouro_await(ouro_stream_writev(out, (struct iovec[]){{NULL, 1}}, 1)), -EINVAL);
    check_eq(ouro_stream_written(NULL), -EINVAL);
    check_eq(write_text("still fine"), 10);
    check_peer_reads("still fine");
    disconnect();
    return 0;
}

KernelTest(write, an_address_that_is_none_harms_that_write_alone)
{
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_write(out, (void *)8, 100)), -EFAULT);
    check_eq(write_text("fine"), 4);
    check_peer_reads("fine");
    disconnect();
    return 0;
}

/* ---- The peer -------------------------------------------------------------------------------- */

KernelTest(write, a_peer_that_has_closed_is_epipe_for_good)
{
    connect_out(UNIX_PEER, NULL, false);
    close_peer();
    check_eq(write_text("x"), -EPIPE);
    check_eq(write_text("x"), -EPIPE);
    check_eq(ouro_stream_put(out, "x", 1), -EPIPE);
    check_eq(ouro_await(ouro_stream_flush(out)), -EPIPE);
    disconnect();
    return 0;
}

KernelTest(write, a_reset_ends_the_write_and_all_behind_it)
{
    char *bytes = pattern(MUCH);
    connect_out(TCP_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *behind = ouro_stream_write(out, "x", 1);
    reset_peer();
    int64_t rc = ouro_await(f);
    check(rc == -ECONNRESET || rc == -EPIPE);
    check_eq(ouro_await(behind), rc);
    check(ouro_stream_written(out) > 0);
    rc = write_text("x");
    check(rc == -ECONNRESET || rc == -EPIPE);
    disconnect();
    free(bytes);
    return 0;
}

KernelTest(write, a_silent_peer_is_left_by_a_timeout)
{
    char *bytes = pattern(MUCH);
    connect_out(TCP_PEER, NULL, true);
    check_eq(ouro_await(ouro_timeout(ouro_stream_write(out, bytes, MUCH), OURO_MS(20))),
             -ETIMEDOUT);
    check(ouro_stream_written(out) > 0);
    check_eq(write_text("x"), -EPIPE);
    disconnect();
    free(bytes);
    return 0;
}

/* ---- Cancel ---------------------------------------------------------------------------------- */

KernelTest(write, cancelled_before_it_is_submitted_it_leaves_no_trace)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *never = ouro_stream_write(out, "never", 5);
    ouro_future *ever = ouro_stream_write(out, "ever", 4);
    check_eq(ouro_cancel(never), 1);
    check_eq(ouro_future_state(never), OURO_CANCELLED);
    ouro_unref(never);
    take_all(got, MUCH);
    check_peer_reads("ever");
    check_eq(ouro_await(f), MUCH);
    check_eq(ouro_await(ever), 4);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, cancelled_half_way_it_says_exactly_what_the_peer_received)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, kind == UNIX_PEER);
        ouro_future *f = stuck_write(bytes, MUCH);
        ouro_future *behind = ouro_stream_write(out, "x", 1);
        size_t before = take(got, MUCH / 16);
        ouro_await(ouro_sleep(OURO_MS(5)));
        check_eq(ouro_cancel(f), 1);
        check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
        check_eq(ouro_future_state(f), OURO_CANCELLED);
        ouro_unref(f);
        check_eq(ouro_await(behind), -EPIPE);
        int64_t written = ouro_stream_written(out);
        check(written > 0 && written < (int64_t)MUCH);
        out = ouro_stream_free(out);
        size_t n, all = before;
        while ((n = (size_t)recv(peer, got + all, MUCH - all, 0)) > 0)
            all += n;
        check_eq(all, written);
        check_eq(memcmp(got, bytes, all), 0);
        disconnect();
    }
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, one_cancelled_of_those_that_go_together_harms_no_other)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *first = stuck_write(bytes, MUCH / 2);
    ouro_future *second = ouro_stream_write(out, "second", 6);
    ouro_future *third = ouro_stream_write(out, "third", 5);
    take_all(got, MUCH / 2); /* the others are in one send now, or sent */
    ouro_cancel(second);
    bool went = ouro_join(second) == 6;
    check_eq(ouro_await(third), 5);
    check_eq(ouro_await(first), MUCH / 2);
    check_peer_reads(went ? "secondthird" : "third");
    ouro_unref(second);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, a_cancel_that_comes_too_late_changes_nothing)
{
    connect_out(UNIX_PEER, NULL, false);
    ouro_future *f = ouro_stream_write(out, "done", 4);
    ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_await(f), 4);
    check_peer_reads("done");
    disconnect();
    return 0;
}

/* ---- Close ----------------------------------------------------------------------------------- */

static int64_t close_soon(void *arg)
{
    ouro_await(ouro_sleep(OURO_MS(3)));
    return ouro_await(ouro_stream_close(arg));
}

KernelTest(write, closed_by_another_task_it_is_ebadf)
{
    char *bytes = pattern(MUCH);
    connect_out(TCP_PEER, NULL, true);
    ouro_future *closer = ouro_spawn(close_soon, out);
    ouro_future *f = ouro_stream_write(out, bytes, MUCH);
    ouro_future *behind = ouro_stream_write(out, bytes, 100);
    check_eq(ouro_await(f), -EBADF);
    check(ouro_stream_written(out) > 0);
    check_eq(ouro_await(behind), -EBADF);
    check_eq(ouro_await(closer), 0);
    check_eq(write_text("x"), -EBADF);
    check_eq(ouro_stream_put(out, "x", 1), -EBADF);
    disconnect();
    free(bytes);
    return 0;
}

KernelTest(write, a_stream_freed_in_the_middle_lets_go_of_the_buffer_first)
{
    char *bytes = pattern(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *behind = ouro_stream_write(out, bytes, 100);
    out = ouro_stream_free(out);
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(behind), -EBADF);
    free(bytes);
    disconnect();
    return 0;
}

KernelTest(write, abort_resets_the_connection)
{
    char *bytes = pattern(MUCH), byte;
    connect_out(TCP_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    check_eq(ouro_stream_abort(out), 0);
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(ouro_stream_close(out)), 0);
    while (recv(peer, &byte, 1, 0) > 0)
        continue;
    check_eq(errno, ECONNRESET);
    disconnect();
    free(bytes);
    return 0;
}

/* ---- Shutdown of one direction --------------------------------------------------------------- */

KernelTest(write, shutdown_waits_for_what_was_written)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, true);
        ouro_future *f = stuck_write(bytes, MUCH);
        check_eq(ouro_stream_put(out, "end", 3), 0);
        ouro_future *down = ouro_stream_shutdown(out, SHUT_WR);
        check_eq(ouro_future_state(down), OURO_PENDING);
        check_eq(write_text("late"), -EPIPE);
        check_eq(ouro_stream_put(out, "late", 4), -EPIPE);
        take_all(got, MUCH);
        check_eq(ouro_await(f), MUCH);
        check_eq(ouro_await(down), 0);
        check_peer_reads("end");
        check_eq(recv(peer, got, 1, 0), 0);
        check_eq(ouro_await(ouro_stream_shutdown(out, SHUT_WR)), 0);
        disconnect();
    }
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, shutdown_goes_on_when_its_wait_is_cancelled)
{
    char *bytes = pattern(MUCH), *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *down = ouro_stream_shutdown(out, SHUT_WR);
    check_eq(ouro_cancel(down), 1);
    ouro_unref(down);
    take_all(got, MUCH);
    check_eq(ouro_await(f), MUCH);
    check_eq(recv(peer, got, 1, 0), 0);
    disconnect();
    free(bytes);
    free(got);
    return 0;
}

KernelTest(write, shutdown_of_what_is_not_there)
{
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_shutdown(NULL, SHUT_WR)), -EINVAL);
    check_eq(ouro_await(ouro_stream_shutdown(out, 3)), -EINVAL);
    check_eq(ouro_await(ouro_stream_shutdown(out, -1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_close(out)), 0);
    check_eq(ouro_await(ouro_stream_shutdown(out, SHUT_WR)), -EBADF);
    disconnect();
    return 0;
}

/* ---- No memory ------------------------------------------------------------------------------- */

static int64_t in_need(void *unused)
{
    static char bytes[300000];
    connect_out(UNIX_PEER, NULL, true);
    for (int n = 0; n < 6; n++) {
        grants = n;
        ouro_future *first = ouro_stream_write(out, bytes, 20000);
        ouro_future *second = ouro_stream_write(out, "ab", 2);
        int put = ouro_stream_put(out, "cd", 2);
        ouro_future *flush = ouro_stream_flush(out);
        grants = -1;
        size_t want = 0, got = 0;
        while (ouro_future_state(first) == OURO_PENDING ||
               ouro_future_state(second) == OURO_PENDING ||
               ouro_future_state(flush) == OURO_PENDING) {
            got += take(bytes, sizeof(bytes));
            ouro_await(ouro_sleep(OURO_US(100)));
        }
        int64_t rc = ouro_await(first);
        check(rc == 20000 || rc == -ENOMEM);
        want += rc > 0 ? 20000 : 0;
        rc = ouro_await(second);
        check(rc == 2 || rc == -ENOMEM);
        want += rc > 0 ? 2 : 0;
        check(put == 0 || put == -ENOMEM);
        want += put == 0 ? 2 : 0;
        rc = ouro_await(flush);
        check(rc == 0 || rc == -ENOMEM);
        check_eq(ouro_await(ouro_stream_flush(out)), 0);
        got += take(bytes, sizeof(bytes));
        check_eq(got, want);
    }
    disconnect();
    (void)unused;
    return 0;
}

Test(write, without_memory_each_call_fails_alone_and_nothing_is_lost)
{
    ration_memory();
    begin_kernel();
    check_eq(run_main(in_need, NULL), 0);
    end();
}
