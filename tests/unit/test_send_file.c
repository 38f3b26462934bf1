/* SPDX-License-Identifier: MIT */
/*
 * Files sent over streams: all of them, a part, more than there is.
 */
#define _GNU_SOURCE
#include "send_test.h"

#include <fcntl.h>

TestSuite(send_file, .timeout = 60);

#define MUCH ((size_t)3 << 20)

static char *bytes; /* of the file */
static int file;

static void make_file(size_t size)
{
    char path[] = "/tmp/ouro-send-file-XXXXXX";
    file = mkstemp(path);
    check(file >= 0);
    unlink(path);
    bytes = pattern(size);
    check_eq(write(file, bytes, size), size);
}

static void drop_file(void)
{
    close(file);
    free(bytes);
}

static void check_sent(size_t offset, uint64_t size, size_t want)
{
    char *got = malloc(want + 1);
    ouro_future *f = ouro_stream_send_file(out, file, offset, size);
    take_all(got, want);
    check_eq(ouro_await(f), want);
    check_eq(memcmp(got, bytes + offset, want), 0);
    check_eq(take(got, 1), 0);
    free(got);
}

KernelTest(send_file, a_file_arrives_whole_or_in_part)
{
    make_file(MUCH);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, true);
        check_sent(0, MUCH, MUCH);
        check_sent(12345, 100000, 100000);
        check_sent(MUCH - 1, 1, 1);
        check_eq(ouro_await(ouro_stream_send_file(out, file, 0, 0)), 0);
        disconnect();
    }
    drop_file();
    return 0;
}

KernelTest(send_file, what_is_not_in_the_page_cache_is_fetched)
{
    make_file(MUCH);
    check_eq(fsync(file), 0);
    check_eq(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    connect_out(UNIX_PEER, NULL, false);
    check_sent(0, MUCH, MUCH);
    disconnect();
    drop_file();
    return 0;
}

KernelTest(send_file, a_file_that_ends_before_is_no_failure)
{
    make_file(100000);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, false);
        check_sent(0, INT64_MAX, 100000);
        check_sent(99000, 5000, 1000);
        check_sent(100000, 5000, 0);
        check_eq(ouro_await(ouro_stream_send_file(out, file, 200000, 5000)), 0);
        disconnect();
    }
    drop_file();
    return 0;
}

KernelTest(send_file, a_little_of_a_file_or_a_little_file_is_sent)
{
    make_file(100000);
    for (enum peer kind = UNIX_PEER; kind <= TCP_PEER; kind++) {
        connect_out(kind, NULL, false);
        check_sent(5000, 1, 1);
        check_sent(5000, 16 * 1024 - 1, 16 * 1024 - 1);
        check_sent(5000, 16 * 1024, 16 * 1024);
        disconnect();
    }
    check_eq(ftruncate(file, 10), 0);
    connect_out(TCP_PEER, NULL, false);
    check_sent(0, INT64_MAX, 10);
    disconnect();
    drop_file();
    return 0;
}

/* Change a file while the most of it waits for its reader, to have @size bytes. */
static void check_changed(enum peer kind, size_t size)
{
    make_file(MUCH);
    connect_out(kind, NULL, true);
    ouro_future *f = ouro_stream_send_file(out, file, 0, INT64_MAX);
    ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(ftruncate(file, (off_t)size), 0);
    char *got = malloc(size), *want = calloc(1, size);
    memcpy(want, bytes, size < MUCH ? size : MUCH);
    take_all(got, size);
    check_eq(ouro_await(f), size);
    check_eq(memcmp(got, want, size), 0);
    check_eq(write_text("fine"), 4);
    check_peer_reads("fine");
    free(got);
    free(want);
    disconnect();
    drop_file();
}

KernelTest(send_file, a_file_cut_short_meanwhile_ends_there)
{
    check_changed(UNIX_PEER, MUCH / 2);
    check_changed(TCP_PEER, MUCH / 2);
    return 0;
}

KernelTest(send_file, a_file_that_grows_meanwhile_is_sent_to_its_new_end)
{
    check_changed(UNIX_PEER, MUCH + 1000000);
    check_changed(TCP_PEER, MUCH + 1000000);
    return 0;
}

KernelTest(send_file, it_keeps_its_place_among_writes)
{
    make_file(MUCH);
    char *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    check_eq(ouro_stream_put(out, "head", 4), 0);
    ouro_future *f = ouro_stream_send_file(out, file, 0, MUCH);
    check_eq(ouro_stream_put(out, "between", 7), 0);
    ouro_future *again = ouro_stream_send_file(out, file, 0, MUCH);
    ouro_future *tail = ouro_stream_write(out, "tail", 4);
    take_all(got, 4);
    check_eq(memcmp(got, "head", 4), 0);
    take_all(got, MUCH);
    check_eq(memcmp(got, bytes, MUCH), 0);
    take_all(got, 7);
    check_eq(memcmp(got, "between", 7), 0);
    take_all(got, MUCH);
    check_eq(memcmp(got, bytes, MUCH), 0);
    check_peer_reads("tail");
    check_eq(ouro_await(f), MUCH);
    check_eq(ouro_await(again), MUCH);
    check_eq(ouro_await(tail), 4);
    disconnect();
    free(got);
    drop_file();
    return 0;
}

KernelTest(send_file, cancelled_half_way_it_says_exactly_what_went_out)
{
    make_file(MUCH);
    char *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = ouro_stream_send_file(out, file, 0, MUCH);
    take_all(got, 300000);
    ouro_await(ouro_sleep(OURO_MS(3)));
    check_eq(ouro_cancel(f), 1);
    ouro_join(f);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    check_eq(write_text("x"), -EPIPE);
    int64_t written = ouro_stream_written(out);
    check_eq(300000 + take(got + 300000, MUCH - 300000), written);
    check_eq(memcmp(got, bytes, (size_t)written), 0);
    disconnect();
    free(got);
    drop_file();
    return 0;
}

KernelTest(send_file, cancelled_in_line_it_harms_nobody)
{
    make_file(MUCH);
    char *got = malloc(MUCH);
    connect_out(UNIX_PEER, NULL, true);
    ouro_future *f = stuck_write(bytes, MUCH);
    ouro_future *never = ouro_stream_send_file(out, file, 0, MUCH);
    ouro_cancel(never);
    check_eq(ouro_future_state(never), OURO_CANCELLED);
    ouro_unref(never);
    take_all(got, MUCH);
    check_eq(ouro_await(f), MUCH);
    check_eq(write_text("fine"), 4);
    check_peer_reads("fine");
    disconnect();
    free(got);
    drop_file();
    return 0;
}

KernelTest(send_file, an_error_of_the_file_before_the_first_byte_harms_nobody)
{
    make_file(10);
    int only_write = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    check(only_write >= 0);
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_send_file(out, only_write, 0, 10)), -EBADF);
    check_eq(write_text("fine"), 4);
    check_peer_reads("fine");
    close(only_write);
    disconnect();
    drop_file();
    return 0;
}

KernelTest(send_file, a_reset_or_a_close_ends_it)
{
    make_file(MUCH);
    connect_out(TCP_PEER, NULL, true);
    ouro_future *f = ouro_stream_send_file(out, file, 0, MUCH);
    ouro_await(ouro_sleep(OURO_MS(5)));
    reset_peer();
    int64_t rc = ouro_await(f);
    check(rc == -ECONNRESET || rc == -EPIPE);
    disconnect();
    connect_out(UNIX_PEER, NULL, true);
    f = ouro_stream_send_file(out, file, 0, MUCH);
    ouro_await(ouro_sleep(OURO_MS(5)));
    out = ouro_stream_free(out);
    check_eq(ouro_await(f), -EBADF);
    disconnect();
    drop_file();
    return 0;
}

KernelTest(send_file, what_makes_no_sense_is_refused)
{
    int directory = open("/tmp", O_RDONLY | O_CLOEXEC);
    make_file(10);
    connect_out(UNIX_PEER, NULL, false);
    check_eq(ouro_await(ouro_stream_send_file(NULL, file, 0, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_file(out, -1, 0, 1)), -EBADF);
    check_eq(ouro_await(ouro_stream_send_file(out, directory, 0, 1)), -EISDIR);
    check_eq(ouro_await(ouro_stream_send_file(out, peer, 0, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_file(out, file, UINT64_MAX, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_file(out, file, 1, INT64_MAX)), -EINVAL);
    close(directory);
    disconnect();
    drop_file();
    return 0;
}
