/* SPDX-License-Identifier: MIT */
/*
 * Memory of requests: rooms, and what is taken of them until the request is over.
 *
 * Happy path: a room is taken from the spare ones, all of a request fits into what it has, and it
 * goes back as it came. What did not fit is released at the end of the request. How it fails: NULL,
 * and nothing has changed.
 */
#include "server_int.h"

#include <string.h>

#define BLOCK      ((size_t)4096)
#define SPARE_MAX  64
#define KEEP_IN    ((size_t)64 * 1024)
#define ALIGNED(n) (((n) + 15) & ~(size_t)15)

static struct http_block *block_new(struct http_block *next, size_t room)
{
    struct http_block *b = ouro_memory_alloc(sizeof(*b) + room);
    if (b) {
        b->next = next;
        b->size = 0;
        b->room = room;
    }
    return b;
}

void *ouro__http_take(struct http_arena *a, size_t size)
{
    struct http_block *b = a->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    size = ALIGNED(size);
    if (size > b->room - b->size) {
        b = block_new(b, size > BLOCK ? size : BLOCK);
        if (!b)
            return NULL;
        a->blocks = b;
    }
    void *at = b->bytes + b->size;
    b->size += size;
    return at;
}

char *ouro__http_copy(struct http_arena *a, const char *text, size_t size)
{
    char *copy = ouro__http_take(a, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void ouro__http_arena_reset(struct http_arena *a)
{
    while (a->blocks->next) {
        struct http_block *next = a->blocks->next;
        ouro_memory_release(a->blocks);
        a->blocks = next;
    }
    a->blocks->size = 0;
}

static struct http_room *room_new(size_t fields)
{
    struct http_room *room = ouro_memory_alloc(sizeof(*room) + fields * sizeof(room->fields[0]));
    if (!room)
        return NULL;
    room->in_room = HTTP_IN_ROOM;
    room->in = ouro_memory_alloc(room->in_room);
    room->feed = NULL;
    room->arena.blocks = block_new(NULL, BLOCK);
    if (room->in && room->arena.blocks)
        return room;
    ouro_memory_release(room->in);
    ouro_memory_release(room->arena.blocks);
    ouro_memory_release(room);
    return NULL;
}

void ouro__http_room_free(struct http_room *room)
{
    ouro__http_arena_reset(&room->arena);
    ouro_memory_release(room->arena.blocks);
    ouro_memory_release(room->feed);
    ouro_memory_release(room->in);
    ouro_memory_release(room);
}

struct http_room *ouro__http_room_get(ouro_http_server *server)
{
    struct http_room *room = server->spare;
    if (!room)
        return room_new(server->limits.count_max);
    server->spare = room->next;
    server->spare_count--;
    return room;
}

void ouro__http_room_put(ouro_http_server *server, struct http_room *room)
{
    if (server->spare_count == SPARE_MAX || room->in_room > KEEP_IN) {
        ouro__http_room_free(room);
        return;
    }
    ouro__http_arena_reset(&room->arena);
    room->next = server->spare;
    server->spare = room;
    server->spare_count++;
}
