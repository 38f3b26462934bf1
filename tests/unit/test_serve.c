/* SPDX-License-Identifier: MIT */
/*
 * Servers on one loop: a task a connection, the limit, what a handler's error does, and how a
 * server ends, whoever stops it and when.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include "other.h"

#include <stdatomic.h>

TestSuite(serve, .timeout = 60);

/* A server at work, and what its handlers have seen. */
struct bench {
    ouro_listener *listener;
    ouro_address address;
    ouro_future *server; /* a reference beside the one that is awaited */
    ouro_server_stats stats;
    int begun;
    int ended;
    int told;
    int64_t told_error;
    char told_name[64];
    ouro_future *told_of; /* a reference to the last */
    int64_t answer;       /* what handlers return */
    ouro_future *gate;    /* what they wait for; NULL: for their client to hang up */
};

static ouro_server_stats look(struct bench *b)
{
    check_eq(ouro_server_stats_get(b->server, &b->stats), 0);
    return b->stats;
}

/* Read until the client hangs up, or the task is cancelled. */
static int64_t serve_until_hung_up(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    char buf[64];
    int64_t n;
    b->begun++;
    while ((n = ouro_await(ouro_stream_read(s, buf, sizeof buf))) > 0)
        continue;
    b->ended++;
    return n < 0 ? n : b->answer;
}

static void note_error(ouro_future *task, int64_t error, void *arg)
{
    struct bench *b = arg;
    b->told++;
    b->told_error = error;
    ouro_unref(b->told_of);
    b->told_of = ouro_ref(task);
    snprintf(b->told_name, sizeof b->told_name, "%s", ouro_task_name(task));
}

static void begin_serving(struct bench *b, ouro_serve_fn *handler, ouro_serve_options opts)
{
    opts.on_error = note_error;
    b->listener = listen_here();
    b->address = address_of(b->listener);
    b->server = ouro_serve(b->listener, handler, b, &opts);
    check_eq(ouro_future_state(b->server), OURO_PENDING);
}

static void end_serving(struct bench *b)
{
    b->server = ouro_unref(b->server);
    b->told_of = ouro_unref(b->told_of);
    b->listener = ouro_listener_free(b->listener);
}

static int call(struct bench *b)
{
    int fd = try_dial(&b->address);
    check(fd >= 0);
    return fd;
}

static void until_begun(struct bench *b, int n)
{
    for (int i = 0; b->begun < n; i++) {
        check(i < 5000);
        nap(OURO_MS(1));
    }
    check_eq(b->begun, n);
}

static void until_ended(struct bench *b, int n)
{
    for (int i = 0; b->ended < n; i++) {
        check(i < 5000);
        nap(OURO_MS(1));
    }
}

/* What the server comes to, by a reference of our own. */
static int64_t await_server(struct bench *b)
{
    return ouro_await(ouro_timeout(ouro_ref(b->server), OURO_SEC(30)));
}

static int64_t stop_now(struct bench *b)
{
    ouro_server_stop(b->server, 0);
    return await_server(b);
}

/* ---- Serving --------------------------------------------------------------------------------- */

KernelTest(serve, each_connection_has_a_task_of_its_own)
{
    struct bench b = {0};
    int client[5];
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    for (int i = 0; i < 5; i++)
        client[i] = call(&b);
    until_begun(&b, 5);
    check_eq(look(&b).live, 5);
    for (int i = 0; i < 5; i++)
        close(client[i]);
    until_ended(&b, 5);
    check_eq(ouro_server_stop(b.server, OURO_FOREVER), 1);
    check_eq(await_server(&b), 0);
    check_eq(look(&b).accepted, 5);
    check_eq(b.stats.peak, 5);
    check_eq(b.stats.live, 0);
    check_eq(b.stats.errors + b.stats.cancelled + b.stats.refused, 0);
    end_serving(&b);
    return 0;
}

static int64_t return_answer(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    b->begun++;
    check(s != NULL);
    return b->answer;
}

KernelTest(serve, a_connection_is_closed_when_its_handler_has_returned)
{
    struct bench b = {0};
    begin_serving(&b, return_answer, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    nap(OURO_MS(2));
    check(is_hung_up(client));
    close(client);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, an_error_of_a_handler_is_told_and_ends_nothing_else)
{
    struct bench b = {.answer = -EPROTO};
    begin_serving(&b, return_answer, (ouro_serve_options){.name = "guest"});
    ouro_address own;
    char name[80] = "guest ";
    for (int i = 1; i <= 3; i++) {
        int client = call(&b);
        until_begun(&b, i);
        nap(OURO_MS(2));
        check_eq(b.told, i);
        check_eq(b.told_error, -EPROTO);
        check_eq(ouro_sockopt_address(client, &own), 0);
        ouro_address_print(&own, name + 6, sizeof name - 6);
        check_text(b.told_name, name);
        close(client);
    }
    check_eq(ouro_future_state(b.server), OURO_PENDING);
    check_eq(look(&b).errors, 3);
    check_text(ouro_task_name(b.told_of), "guest"); /* the client's name went with the connection */
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

static int64_t look_at_itself(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    (void)s;
    check(ouro_server_current() == b->server);
    b->begun++;
    return 0;
}

KernelTest(serve, a_handler_knows_its_server_and_others_have_none)
{
    struct bench b = {0};
    begin_serving(&b, look_at_itself, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    check(ouro_server_current() == NULL);
    close(client);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

static int64_t ask_later(void *arg)
{
    struct bench *b = arg;
    nap(OURO_MS(20));
    ouro_server_stats some;
    check_eq(ouro_server_stats_get(ouro_server_current(), &some), 0); /* though it has ended */
    check_eq(some.accepted, 1);
    b->ended++;
    return 0;
}

static int64_t leave_somebody_behind(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    (void)s;
    b->begun++;
    ouro_detach(ouro_spawn(ask_later, b));
    return 0;
}

KernelTest(serve, a_task_that_outlives_its_server_can_still_ask_it)
{
    struct bench b = {0};
    begin_serving(&b, leave_somebody_behind, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    check_eq(b.ended, 0);
    until_ended(&b, 1);
    close(client);
    return 0;
}

KernelTest(serve, tasks_are_named_after_their_clients_until_they_end)
{
    struct bench b = {0};
    char *text = NULL;
    size_t size = 0;
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.name = "guest"});
    int client = call(&b);
    until_begun(&b, 1);
    FILE *out = open_memstream(&text, &size);
    check(ouro_tasks_print(out) >= 2);
    fclose(out);
    check(strstr(text, "guest 127.0.0.1:") != NULL);
    check(strstr(text, "server") != NULL);
    free(text);
    close(client);
    until_ended(&b, 1);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_thousand_connections_are_served_at_once)
{
    enum { N = 1000 };
    static int client[N];
    struct bench b = {0};
    if (!may_open(2 * N + 100))
        cr_skip_test("no descriptors for %d connections", N);
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    for (int i = 0; i < N; i++)
        client[i] = call(&b);
    until_begun(&b, N);
    check_eq(look(&b).live, N);
    check_eq(b.stats.peak, N);
    for (int i = 0; i < N; i++)
        close(client[i]);
    check_eq(ouro_server_stop(b.server, OURO_SEC(30)), 1);
    check_eq(await_server(&b), 0);
    check_eq(b.ended, N);
    check_eq(look(&b).cancelled, 0);
    end_serving(&b);
    return 0;
}

/* ---- The limit ------------------------------------------------------------------------------- */

KernelTest(serve, at_the_limit_nothing_more_is_accepted)
{
    struct bench b = {0};
    int client[6];
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.limit = 2});
    for (int i = 0; i < 6; i++)
        client[i] = call(&b);
    until_begun(&b, 2);
    nap(OURO_MS(20));
    check_eq(b.begun, 2);
    for (int i = 0; i < 4; i++) {
        close(client[i]);
        until_begun(&b, i + 3);
        nap(OURO_MS(2));
        check_eq(b.begun, i + 3);
        check(look(&b).live <= 2);
    }
    close(client[4]);
    close(client[5]);
    until_ended(&b, 6);
    check_eq(look(&b).peak, 2);
    check_eq(b.stats.accepted, 6);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, at_the_limit_connections_stay_in_the_kernels_queue)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.limit = 1});
    int first = call(&b);
    until_begun(&b, 1);
    nap(OURO_MS(2));
    int second = call(&b), third = call(&b);
    nap(OURO_MS(5));
    check_eq(listener_stats(b.listener).accepted, 1);
    check_eq(listener_stats(b.listener).ready, 0);
    check_eq(stop_now(&b), 0);
    close(first);
    close(second);
    close(third);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_stop_at_the_limit_serves_who_waits_when_there_is_room)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.limit = 1});
    int first = call(&b), second = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_server_stop(b.server, OURO_SEC(30)), 1);
    nap(OURO_MS(5));
    check_eq(b.begun, 1);
    close(first);
    until_begun(&b, 2);
    check_eq(look(&b).peak, 1);
    close(second);
    check_eq(await_server(&b), 0);
    check_eq(look(&b).accepted, 2);
    end_serving(&b);
    return 0;
}

KernelTest(serve, who_waits_at_the_limit_is_turned_away_when_the_grace_has_passed)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.limit = 1});
    int first = call(&b), second = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_server_stop(b.server, OURO_MS(20)), 1);
    check_eq(await_server(&b), 0);
    check_eq(b.begun, 1);
    check_eq(look(&b).refused, 1);
    check(is_hung_up(second));
    close(first);
    close(second);
    end_serving(&b);
    return 0;
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static int64_t serve_hello(ouro_stream *s, void *arg)
{
    char byte;
    struct bench *b = arg;
    b->begun++;
    int64_t n = ouro_await(ouro_stream_read(s, &byte, 1));
    if (n > 0)
        n = ouro_await(ouro_stream_write(s, "hello", 5));
    b->ended++;
    return n;
}

enum how { STOP, CANCEL, CLOSE, HOWS };

static void stop_by(struct bench *b, enum how how)
{
    if (how == STOP)
        check_eq(ouro_server_stop(b->server, OURO_SEC(30)), 1);
    else if (how == CANCEL)
        check_eq(ouro_cancel(b->server), 1);
    else
        b->listener = ouro_listener_free(b->listener);
}

/* Some are in the kernel's queue, where the loop has not looked yet, and @turns later some have been
 * accepted and some not been given a task. */
static void stop_among_clients(enum how how, unsigned turns, ouro_serve_options opts)
{
    struct bench b = {0};
    int client[40];
    begin_serving(&b, serve_hello, opts);
    nap(OURO_MS(1));
    for (int i = 0; i < 40; i++) {
        client[i] = call(&b);
        check_eq(send(client[i], "?", 1, 0), 1);
    }
    for (unsigned i = 0; i < turns; i++)
        ouro_yield();
    stop_by(&b, how);
    check_eq(ouro_join(b.server), how == CANCEL ? -OURO_ECHILDCANCELLED : 0);
    for (int i = 0; i < 40; i++) {
        char text[6] = "";
        check_eq(recv(client[i], text, 5, MSG_WAITALL), 5);
        check_text(text, "hello");
        close(client[i]);
    }
    check_eq(look(&b).accepted, 40);
    check_eq(b.stats.refused, 0);
    check_eq(b.told, 0);
    end_serving(&b);
}

KernelTest(serve, who_has_connected_before_a_stop_is_served)
{
    for (enum how how = STOP; how < HOWS; how++)
        for (unsigned turns = 0; turns < 5; turns++) {
            stop_among_clients(how, turns, (ouro_serve_options){0});
            stop_among_clients(how, turns, (ouro_serve_options){.limit = 3});
        }
    return 0;
}

KernelTest(serve, a_stop_lets_connections_come_to_their_end)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_server_stop(b.server, OURO_SEC(30)), 1);
    nap(OURO_MS(20));
    check_eq(ouro_future_state(b.server), OURO_PENDING);
    check_eq(b.ended, 0);
    check(!is_hung_up(client));
    check_eq(try_dial(&b.address), -ECONNREFUSED); /* nobody listens any more */
    close(client);
    check_eq(await_server(&b), 0);
    check_eq(b.ended, 1);
    check_eq(look(&b).cancelled, 0);
    check_eq(ouro_server_stop(b.server, 0), 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, what_outlives_the_grace_is_cancelled)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    int client[3];
    for (int i = 0; i < 3; i++)
        client[i] = call(&b);
    until_begun(&b, 3);
    close(client[0]);
    until_ended(&b, 1);
    ouro_ns began = ouro_now();
    check_eq(ouro_server_stop(b.server, OURO_MS(30)), 1);
    check_eq(await_server(&b), 0);
    check(ouro_now() - began >= OURO_MS(30));
    check_eq(b.ended, 3);
    check_eq(look(&b).cancelled, 2);
    check_eq(b.stats.errors, 0);
    check_eq(b.told, 0);
    check(is_hung_up(client[1]));
    close(client[1]);
    close(client[2]);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_second_stop_hurries)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_server_stop(b.server, OURO_FOREVER), 1);
    check_eq(ouro_server_stop(b.server, OURO_FOREVER), 0);
    check_eq(ouro_server_stop(b.server, OURO_SEC(1000)), 1);
    check_eq(ouro_server_stop(b.server, OURO_SEC(2000)), 0);
    nap(OURO_MS(5));
    check_eq(ouro_future_state(b.server), OURO_PENDING);
    check_eq(ouro_server_stop(b.server, OURO_MS(1)), 1);
    check_eq(await_server(&b), 0);
    check_eq(look(&b).cancelled, 1);
    close(client);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_cancel_is_a_stop_with_the_grace_of_the_options)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_SEC(30)});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_cancel(b.server), 1);
    nap(OURO_MS(20));
    check_eq(ouro_future_state(b.server), OURO_PENDING);
    close(client);
    check_eq(ouro_join(b.server), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(b.server), OURO_CANCELLED);
    check_eq(b.ended, 1);
    check_eq(look(&b).cancelled, 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_cancel_can_be_hurried_by_a_stop)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_FOREVER});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_cancel(b.server), 1);
    nap(OURO_MS(5));
    check_eq(ouro_server_stop(b.server, 0), 1);
    check_eq(ouro_join(b.server), -OURO_ECHILDCANCELLED);
    check_eq(look(&b).cancelled, 1);
    close(client);
    end_serving(&b);
    return 0;
}

static int64_t serve_in_task(void *arg)
{
    struct bench *b = arg;
    return ouro_await(ouro_ref(b->server));
}

KernelTest(serve, a_task_that_is_cancelled_stops_the_server_it_awaits)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_MS(10)});
    ouro_future *task = ouro_spawn(serve_in_task, &b);
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(b.server), OURO_CANCELLED);
    check_eq(b.ended, 1);
    close(client);
    end_serving(&b);
    return 0;
}

KernelTest(serve, stopped_before_it_began_it_serves_whom_it_finds)
{
    struct bench b = {0};
    b.listener = listen_here();
    b.address = address_of(b.listener);
    int client = call(&b);
    b.server = ouro_serve(b.listener, serve_until_hung_up, &b, NULL);
    check_eq(ouro_server_stop(b.server, OURO_FOREVER), 1);
    until_begun(&b, 1);
    check_eq(try_dial(&b.address), -ECONNREFUSED);
    close(client);
    check_eq(await_server(&b), 0);
    end_serving(&b);

    b.listener = listen_here();
    b.server = ouro_serve(b.listener, serve_until_hung_up, &b, NULL);
    check_eq(ouro_cancel(b.server), 1);
    check_eq(ouro_join(b.server), -OURO_ECHILDCANCELLED);
    end_serving(&b);
    return 0;
}

static int64_t stop_from_inside(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    (void)s;
    b->begun++;
    check_eq(ouro_server_stop(ouro_server_current(), OURO_SEC(30)), 1);
    nap(OURO_MS(10)); /* and the answer may still be written */
    b->ended++;
    return 0;
}

KernelTest(serve, a_handler_can_stop_its_server)
{
    struct bench b = {0};
    begin_serving(&b, stop_from_inside, (ouro_serve_options){0});
    int client = call(&b);
    check_eq(await_server(&b), 0);
    check_eq(b.ended, 1);
    check_eq(look(&b).cancelled, 0);
    close(client);
    end_serving(&b);
    return 0;
}

static int64_t stop_at_once_from_inside(ouro_stream *s, void *arg)
{
    struct bench *b = arg;
    (void)s;
    b->begun++;
    check_eq(ouro_server_stop(ouro_server_current(), 0), 1);
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(100)));
    check_eq(rc, -ECANCELED);
    check_text(ouro_cancel_reason(), "the server's grace has passed");
    b->ended++;
    return rc;
}

KernelTest(serve, a_handler_can_cancel_itself_that_way)
{
    struct bench b = {0};
    begin_serving(&b, stop_at_once_from_inside, (ouro_serve_options){0});
    int client = call(&b);
    check_eq(await_server(&b), 0);
    check_eq(b.ended, 1);
    check_eq(look(&b).cancelled, 1);
    close(client);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_flood_while_it_stops_is_served_or_turned_away)
{
    struct bench b = {0};
    static int flood[300];
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    int client = call(&b);
    until_begun(&b, 1);
    for (int i = 0; i < 200; i++)
        flood[i] = call(&b);
    check_eq(ouro_server_stop(b.server, OURO_SEC(30)), 1);
    for (int i = 200; i < 300; i++)
        flood[i] = try_dial(&b.address);
    nap(OURO_MS(10));
    check_eq(ouro_future_state(b.server), OURO_PENDING);
    close(client);
    for (int i = 0; i < 300; i++)
        if (flood[i] >= 0)
            close(flood[i]);
    check_eq(await_server(&b), 0);
    check_eq(b.begun, b.ended);
    check_eq(look(&b).live, 0);
    check_eq(b.stats.cancelled, 0);
    end_serving(&b);
    return 0;
}

KernelTest(serve, closing_the_listener_stops_the_server)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_MS(10)});
    int client = call(&b);
    until_begun(&b, 1);
    b.listener = ouro_listener_free(b.listener);
    check_eq(await_server(&b), 0);
    check_eq(look(&b).cancelled, 1);
    close(client);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_listener_that_fails_ends_the_server_with_its_error)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_MS(10)});
    int client = call(&b);
    until_begun(&b, 1);
    check_eq(shutdown(ouro_listener_fd(b.listener), SHUT_RDWR), 0);
    check_eq(await_server(&b), -EINVAL);
    check_eq(look(&b).cancelled, 1);
    close(client);
    end_serving(&b);
    return 0;
}

KernelTest(serve, a_listener_that_is_kept_can_be_served_again)
{
    struct bench b = {0};
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.keep_listening = 1});
    nap(OURO_MS(1));
    check_eq(stop_now(&b), 0);
    int client = call(&b); /* between two servers it waits */
    ouro_unref(b.server);
    b.server = ouro_serve(b.listener, serve_until_hung_up, &b, NULL);
    until_begun(&b, 1);
    close(client);
    until_ended(&b, 1);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}

Test(serve, a_loop_that_shuts_down_cancels_what_it_serves)
{
    struct bench b = {0};
    begin_kernel();
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){.grace = OURO_FOREVER});
    int client = call(&b);
    while (b.begun == 0)
        turn();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(20)), 0);
    check_eq(ouro_future_state(b.server), OURO_CANCELLED);
    check_eq(b.ended, 1);
    close(client);
    end_serving(&b);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

/* ---- Bad input ------------------------------------------------------------------------------- */

KernelTest(serve, bad_input_has_clear_codes)
{
    struct bench b = {0};
    ouro_server_stats some;
    ouro_listener *l = listen_here();
    ouro_serve_fn *fn = serve_until_hung_up;
    check_eq(ouro_await(ouro_serve(NULL, fn, &b, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_serve(l, NULL, &b, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_serve(l, fn, &b, &(ouro_serve_options){.limit = -1})), -EINVAL);
    check_eq(ouro_await(ouro_serve(l, fn, &b, &(ouro_serve_options){.stack_size = SIZE_MAX})),
             -EINVAL);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    check_eq(ouro_await(ouro_serve(l, fn, &b, NULL)), -EBADF);
    ouro_listener_free(l);
    check_eq(ouro_server_stop(NULL, 0), -EINVAL);
    check_eq(ouro_server_stop(ouro_task_current(), 0), -EINVAL);
    check_eq(ouro_server_stats_get(NULL, &some), -EINVAL);
    check_eq(ouro_server_stats_get(ouro_task_current(), &some), -EINVAL);
    check_eq(ouro_server_stats_get(ouro_task_current(), NULL), -EINVAL);
    check_eq(ouro_serve_workers(-1, "127.0.0.1:0", fn, NULL, NULL), -EINVAL);
    check_eq(ouro_serve_workers(1025, "127.0.0.1:0", fn, NULL, NULL), -EINVAL);
    check_eq(ouro_serve_workers(1, "127.0.0.1:0", NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_serve_workers(1, "127.0.0.1", fn, NULL, NULL), -EINVAL);
    check_eq(ouro_serve_workers(1, NULL, fn, NULL, NULL), -EINVAL);
    check_eq(ouro_serve_workers(2, "127.0.0.1:0", fn, NULL, NULL), -EBUSY); /* there is a loop */
    return 0;
}

/* ---- No memory ------------------------------------------------------------------------------- */

static int64_t count_and_wait(ouro_stream *s, void *arg)
{
    (void)s;
    ((struct bench *)arg)->begun++;
    return ouro_await(ouro_sleep(OURO_MS(1)));
}

Test(serve, without_memory_connections_are_refused_and_the_server_goes_on)
{
    struct bench b = {0};
    ration_memory();
    grants = -1;
    begin_kernel();
    begin_serving(&b, count_and_wait, (ouro_serve_options){0});
    turn();
    for (int i = 0; i < 40; i++) {
        int client = call(&b);
        grants = i % 10;
        for (int k = 0; k < 5; k++)
            turn();
        grants = -1;
        close(client);
        ouro_loop_step(ouro_loop_current(), OURO_MS(1));
    }
    int client = call(&b);
    for (int before = b.begun; b.begun == before;)
        ouro_loop_step(ouro_loop_current(), OURO_MS(1));
    close(client);
    check_eq(ouro_server_stop(b.server, 0), 1);
    while (ouro_future_state(b.server) == OURO_PENDING)
        ouro_loop_step(ouro_loop_current(), OURO_MS(1));
    check_eq(ouro_future_result(b.server).n, 0);
    take_reports(OURO_REPORT_OVERLOAD);
    end_serving(&b);
    end();
}

Test(serve, without_memory_there_is_no_server)
{
    struct bench b = {0};
    ration_memory();
    grants = -1;
    begin_kernel();
    b.listener = listen_here();
    for (int i = 0;; i++) {
        check(i < 100);
        grants = i;
        b.server = ouro_serve(b.listener, count_and_wait, &b, NULL);
        ouro_server_stop(b.server, 0);
        while (ouro_future_state(b.server) == OURO_PENDING)
            turn();
        grants = -1;
        int64_t n = ouro_future_result(b.server).n;
        b.server = ouro_unref(b.server);
        if (n == 0)
            break;
        check_eq(n, -ENOMEM);
    }
    ouro_listener_free(b.listener);
    end();
}

/* ---- Where it may be used -------------------------------------------------------------------- */

static void *use_elsewhere(void *server)
{
    ouro_server_stats some;
    check_eq(ouro_server_stop(server, 0), -EXDEV);
    check_eq(ouro_server_stats_get(server, &some), -EXDEV);
    check(ouro_server_current() == NULL);
    return NULL;
}

KernelTest(serve, another_thread_is_told_that_it_is_not_its)
{
    struct bench b = {0};
    pthread_t thread;
    begin_serving(&b, serve_until_hung_up, (ouro_serve_options){0});
    check_eq(pthread_create(&thread, NULL, use_elsewhere, b.server), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(stop_now(&b), 0);
    end_serving(&b);
    return 0;
}
