/* SPDX-License-Identifier: MIT */
/*
 * Reads of a stream: what each kind takes, what it leaves, and how bytes that come in pieces of any
 * size make no difference.
 */
#include "stream_test.h"

TestSuite(stream_read, .timeout = 20);

KernelTest(stream_read, gives_what_is_there)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "hello");
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 5);
    check_eq(memcmp(buf, "hello", 5), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, waits_until_something_is_there)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, sizeof buf);
    settle_down();
    check_eq(ouro_future_state(f), OURO_PENDING);
    say(peer, "late");
    check_eq(ouro_await(f), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, takes_no_more_than_there_is_room_for)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "abcdefg");
    check_eq(ouro_await(ouro_stream_read(s, buf, 3)), 3);
    check_eq(ouro_await(ouro_stream_read(s, buf + 3, 3)), 3);
    check_eq(ouro_await(ouro_stream_read(s, buf + 6, 3)), 1);
    check_eq(memcmp(buf, "abcdefg", 7), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, of_no_bytes_is_0_at_once)
{
    int peer;
    ouro_stream *s = pair(&peer);
    check_eq(ouro_await(ouro_stream_read(s, NULL, 0)), 0);
    check_eq(ouro_await(ouro_stream_read_exact(s, NULL, 0)), 0);
    check_eq(ouro_await(ouro_stream_peek(s, NULL, 0)), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, what_came_early_settles_without_a_wait)
{
    int peer;
    char buf[4];
    ouro_stream *s = pair(&peer);
    say(peer, "12345678");
    check_eq(ouro_await(ouro_stream_read(s, buf, 4)), 4);
    ouro_future *f = ouro_stream_read(s, buf, 4);
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_eq(ouro_await(f), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}
