/* SPDX-License-Identifier: MIT */
/*
 * Peers that take their time, over TCP and Unix sockets: one that sends byte by byte, one that sends
 * now and then, one that hardly reads, one that has ended one direction and not the other. Nothing
 * is lost or out of order, nobody else has to wait, and memory does not grow with what is stuck.
 */
#define _GNU_SOURCE
#include "stream_test.h"

#include <fcntl.h>
#include <stdlib.h>

TestSuite(slow_peers, .timeout = 60);

static int peer;
static ouro_stream *s;

static void meet(bool tcp)
{
    s = tcp ? tcp_pair(&peer) : pair(&peer);
    check_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
}

static void part(void)
{
    if (peer >= 0)
        close(peer);
    peer = -1;
    s = ouro_stream_free(s);
}

static char letter(size_t i)
{
    return (char)('a' + (i * 7 + i / 26) % 26);
}

/* ---- Who sends slowly ------------------------------------------------------------------------ */

enum { RECORDS = 60, RECORD = 11 };

/* A line, a number of bytes, something up to a semicolon: one byte at a time. */
static int64_t dribble(void *unused)
{
    static const char record[] = "abcd\n12345;";
    (void)unused;
    for (int i = 0; i < RECORDS * RECORD; i++) {
        say_bytes(peer, &record[i % RECORD], 1);
        ouro_yield();
    }
    return 0;
}

static void read_what_dribbles(void)
{
    char buf[16];
    for (int i = 0; i < RECORDS; i++) {
        check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof(buf))), 5);
        check_text(buf, "abcd\n");
        check_eq(ouro_await(ouro_stream_read_exact(s, buf, 5)), 5);
        check_eq(memcmp(buf, "12345", 5), 0);
        check_eq(ouro_await(ouro_stream_read_until(s, buf, sizeof(buf), ";", 1)), 1);
    }
}

KernelTest(slow_peers, that_send_byte_by_byte_are_understood)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        meet(tcp);
        ouro_future *sending = ouro_spawn(dribble, NULL);
        read_what_dribbles();
        check_eq(ouro_await(sending), 0);
        check_eq(stream_stats(s).bytes_in, RECORDS * RECORD);
        part();
    }
    return 0;
}

enum { BURSTS = 40, BURST = 700 };

static int64_t send_now_and_then(void *unused)
{
    (void)unused;
    char burst[BURST];
    for (size_t i = 0; i < BURSTS; i++) {
        for (size_t k = 0; k < BURST; k++)
            burst[k] = letter(i * BURST + k);
        say_bytes(peer, burst, BURST);
        ouro_await(ouro_sleep(OURO_MS(1)));
    }
    return 0;
}

/* Each read is given up again and again before it has all it wants, and loses nothing. */
KernelTest(slow_peers, that_send_now_and_then_are_read_whole_by_reads_that_time_out)
{
    static char all[BURSTS * BURST];
    for (int tcp = 0; tcp < 2; tcp++) {
        unsigned timeouts = 0;
        meet(tcp);
        ouro_future *sending = ouro_spawn(send_now_and_then, NULL);
        for (size_t got = 0; got < sizeof(all);) {
            size_t want = sizeof(all) - got < 3500 ? sizeof(all) - got : 3500;
            int64_t n = ouro_await(
                ouro_timeout(ouro_stream_read_exact(s, all + got, want), OURO_MS(2)));
            check(n == (int64_t)want || n == -ETIMEDOUT);
            timeouts += n < 0;
            got += n > 0 ? (size_t)n : 0;
        }
        for (size_t i = 0; i < sizeof(all); i++)
            check_eq(all[i], letter(i));
        check(timeouts > 0);
        check_eq(ouro_await(sending), 0);
        part();
    }
    return 0;
}

/* ---- Who reads slowly ------------------------------------------------------------------------ */

enum { MUCH = 12 << 20, MARK = 64 << 10 };

static int64_t read_slowly(void *ret_wrong)
{
    static char piece[300 << 10];
    size_t got = 0, *wrong = ret_wrong;
    ssize_t n;
    while ((n = recv(peer, piece, sizeof(piece), MSG_DONTWAIT)) != 0) {
        for (ssize_t i = 0; i < n; i++)
            *wrong += piece[i] != letter(got + (size_t)i);
        got += n > 0 ? (size_t)n : 0;
        ouro_await(ouro_sleep(OURO_MS(1)));
    }
    return (int64_t)got;
}

/* Puts are refused at the mark, so what is stuck is bounded; somebody else is answered meanwhile. */
static void send_past(ouro_stream *other, int other_peer)
{
    char piece[4096], c;
    for (size_t sent = 0; sent < MUCH; sent += sizeof(piece)) {
        for (size_t i = 0; i < sizeof(piece); i++)
            piece[i] = letter(sent + i);
        int rc;
        while ((rc = ouro_stream_put(s, piece, sizeof(piece))) == -EAGAIN) {
            check(stream_stats(s).unsent <= MARK);
            say(other_peer, "x");
            check_eq(ouro_await(ouro_stream_read(other, &c, 1)), 1);
            check_eq(ouro_await(ouro_stream_drain(s)), 0);
        }
        check_eq(rc, 0);
    }
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
}

KernelTest(slow_peers, that_hardly_read_hold_back_their_sender_and_nobody_else)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        size_t wrong = 0;
        int other_peer, fd;
        ouro_stream *other = pair(&other_peer);
        meet(tcp);
        fd = dup(ouro_stream_fd(s));
        s = ouro_stream_free(s);
        ouro_yield();
        check_eq(ouro_stream_new(fd, &(ouro_stream_options){.high_water = MARK}, &s), 0);
        ouro_future *reading = ouro_spawn(read_slowly, &wrong);
        send_past(other, other_peer);
        check_eq(ouro_await(reading), MUCH);
        check_eq(wrong, 0);
        part();
        ouro_stream_free(other);
        close(other_peer);
    }
    return 0;
}

/* ---- One direction has ended ----------------------------------------------------------------- */

KernelTest(slow_peers, that_have_ended_one_direction_are_answered_in_the_other)
{
    char buf[16], *much = malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = letter(i);
    for (int tcp = 0; tcp < 2; tcp++) {
        size_t wrong = 0;
        meet(tcp);
        say(peer, "asked");
        check_eq(shutdown(peer, SHUT_WR), 0);
        check_eq(ouro_await(ouro_stream_read_exact(s, buf, 5)), 5);
        check_eq(ouro_await(ouro_stream_read(s, buf, 1)), 0);
        ouro_future *reading = ouro_spawn(read_slowly, &wrong);
        check_eq(ouro_await(ouro_stream_write(s, much, MUCH)), MUCH);
        check_eq(ouro_await(ouro_stream_read(s, buf, 1)), 0);
        check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
        check_eq(ouro_await(reading), MUCH);
        check_eq(wrong, 0);
        part();
    }
    free(much);
    return 0;
}

KernelTest(slow_peers, can_still_be_read_when_we_have_ended_ours)
{
    char buf[16];
    for (int tcp = 0; tcp < 2; tcp++) {
        meet(tcp);
        check_eq(ouro_await(ouro_stream_write(s, "last", 4)), 4);
        check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
        settle_down();
        check_eq(recv(peer, buf, sizeof(buf), 0), 4);
        check_eq(recv(peer, buf, sizeof(buf), 0), 0);
        say(peer, "answer");
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof(buf))), 6);
        close(peer);
        peer = -1;
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof(buf))), 0);
        part();
    }
    return 0;
}
