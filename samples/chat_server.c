/* SPDX-License-Identifier: MIT */
/*
 * A chat server: rooms, and whoever is in one hears what the others say there.
 *
 *     chat_server :7000         # then: nc localhost 7000, and say "NAME ROOM" first
 *     chat_server --selftest    # some people talk in here, one of whom does not listen
 *
 * Nobody waits for anybody: what is said is put into each listener's stream, which sends it when it
 * can. Who does not listen, until 64 KiB wait for them, is shown the door. There are no locks: all
 * of it happens on one loop, and between two awaits nobody else runs.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_SIZE = 32, LINE_SIZE = 512, WAITING_MAX = 64 * 1024 };

struct member {
    struct member *next;
    ouro_stream *stream;
    char name[NAME_MAX_SIZE];
    char room[NAME_MAX_SIZE];
};

struct chat {
    struct member *members;
    unsigned shown_the_door;
};

/* Tell all who are in @room, but for @except. */
static void say(struct chat *chat, const char *room, const struct member *except,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void say(struct chat *chat, const char *room, const struct member *except,
                const char *format, ...)
{
    char text[NAME_MAX_SIZE + LINE_SIZE + 8];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (struct member *m = chat->members; m; m = m->next) {
        if (m == except || strcmp(m->room, room) != 0)
            continue;
        if (ouro_stream_put(m->stream, text, strlen(text)) == -EAGAIN) {
            chat->shown_the_door++;
            ouro_stream_abort(m->stream); /* their own task finds out, and leaves */
        }
    }
}

static void leave(struct chat *chat, struct member *who)
{
    struct member **at = &chat->members;
    while (*at != who)
        at = &(*at)->next;
    *at = who->next;
}

/* One who talks: the first line is a name and a room, the others are for the room. */
static int64_t converse(ouro_stream *stream, void *arg)
{
    struct chat *chat = arg;
    struct member me = {.stream = stream};
    char line[LINE_SIZE];
    int64_t n = ouro_await(
        ouro_timeout(ouro_stream_read_line(stream, line, sizeof(line)), OURO_SEC(30)));
    if (n <= 0)
        return n;
    if (sscanf(line, "%31s %31s", me.name, me.room) != 2) {
        static const char usage[] = "please say your name and a room\n";
        return ouro_await(ouro_stream_write(stream, usage, strlen(usage)));
    }
    me.next = chat->members;
    chat->members = &me;
    say(chat, me.room, NULL, "* %s is here\n", me.name);
    while ((n = ouro_await(ouro_stream_read_line(stream, line, sizeof(line)))) > 0)
        say(chat, me.room, &me, "%s: %s", me.name, line);
    leave(chat, &me);
    say(chat, me.room, NULL, "* %s has left\n", me.name);
    return n == -EBADF || n == -ECONNRESET ? 0 : n; /* shown the door, or slammed it */
}

static ouro_serve_options serve_options = {.grace = OURO_MS(100), .name = "chat"};

/* A stream takes no more than so much for one who does not listen. */
static ouro_listener_options listener_options = {.stream = {.high_water = WAITING_MAX}};

static int64_t run(void *arg)
{
    const char *place = arg;
    struct chat chat = {0};
    ouro_listener *listener;
    int64_t rc = ouro_listen(place, &listener_options, &listener);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", place, ouro_strerror(rc));
        return rc;
    }
    fprintf(stderr, "chatting at %s\n", place);
    rc = ouro_await(ouro_serve(listener, converse, &chat, &serve_options));
    ouro_listener_free(listener);
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

static ouro_stream *enter(const char *place, const char *who)
{
    int64_t rc;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(place, NULL), &rc);
    char line[LINE_SIZE];
    if (s)
        rc = ouro_await(ouro_stream_write(s, who, strlen(who)));
    if (rc > 0) /* the room says that we are here */
        rc = ouro_await(ouro_stream_read_line(s, line, sizeof(line)));
    if (rc > 0)
        return s;
    fprintf(stderr, "%s: %s\n", place, ouro_strerror(rc));
    return ouro_stream_free(s);
}

static void hear(ouro_stream *s, const char *who)
{
    char line[LINE_SIZE];
    int64_t n = ouro_await(ouro_stream_read_line(s, line, sizeof(line)));
    if (n > 0)
        printf("%s hears: %s", who, line);
    else
        printf("%s hears nothing: %s\n", who, ouro_strerror(n));
}

/* Say so much in the room of one who does not listen that it does not fit anywhere. */
static int64_t babble(struct chat *chat, ouro_stream *s)
{
    char line[LINE_SIZE - 1];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    int64_t n = 0;
    while (n >= 0 && !chat->shown_the_door)
        n = ouro_await(ouro_stream_write(s, line, sizeof(line)));
    return n;
}

static int64_t talk(struct chat *chat, const char *place)
{
    ouro_stream *ann = enter(place, "ann kitchen\n");
    ouro_stream *bob = enter(place, "bob kitchen\n");
    ouro_stream *cat = enter(place, "cat attic\n");
    ouro_stream *dan = enter(place, "dan attic\n");
    int64_t rc = ann && bob && cat && dan ? 0 : -ECONNABORTED;
    if (rc == 0) {
        hear(ann, "ann");
        rc = ouro_await(ouro_stream_write(bob, "is the tea ready?\n", 18));
        hear(ann, "ann");
        hear(cat, "cat");
    }
    if (rc >= 0)
        rc = babble(chat, cat); /* and dan is not listening */
    if (rc >= 0) {
        printf("%u was shown the door\n", chat->shown_the_door);
        hear(cat, "cat");
        rc = ouro_await(ouro_stream_write(ann, "help yourself\n", 14));
        hear(bob, "bob");
    }
    ouro_stream_free(ann);
    ouro_stream_free(bob);
    ouro_stream_free(cat);
    ouro_stream_free(dan);
    return rc;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    struct chat chat = {0};
    ouro_listener *listener;
    ouro_address address;
    char place[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_listen("127.0.0.1:0", &listener_options, &listener);
    if (rc < 0)
        return rc;
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, place, sizeof(place));
    ouro_future *server = ouro_serve(listener, converse, &chat, &serve_options);
    rc = talk(&chat, place);
    ouro_server_stop(server, OURO_SEC(1));
    int64_t ended = ouro_await(server);
    ouro_listener_free(listener);
    return rc < 0 ? rc : ended;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: chat_server PLACE, such as :7000\n"
                        "       chat_server --selftest\n");
        return 2;
    }
    bool testing = strcmp(argv[1], "--selftest") == 0;
    int64_t rc = ouro_run(testing ? selftest : run, argv[1], NULL);
    return rc < 0 && rc != -EINTR;
}
