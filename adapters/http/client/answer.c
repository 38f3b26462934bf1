/* SPDX-License-Identifier: MIT */
/*
 * Answers: what comes is kept in the easy handle's buffers, and made an answer at the end.
 *
 * A header begins with its status line; each one forgets the one before, so that nothing is left of
 * 1xx. It ends with an empty line: what comes as a header after that is a trailer, and is dropped.
 *
 * An answer is one block: the public struct, its fields, their texts, the URL, and the body if that
 * is small. A large body stays where it was received, and the buffer goes with the answer.
 *
 * How it fails: a header beyond HEADER_MAX, that of all 1xx together, breaks the request off.
 */
#include "client_int.h"
#include "json.h"

#include <ouro/memory.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX (256u * 1024)
#define SMALL_BODY (16u * 1024)
#define KEEP_MAX   (64u * 1024) /* of a buffer between two requests */

struct answer {
    ouro_http_response public;
    char *body; /* its own block, or NULL */
};

/* ---- What comes ------------------------------------------------------------------------------ */

static void forget_fields(struct http_inbox *in)
{
    in->head.size = 0;
    in->fields = 0;
}

void ouro__http_inbox_clear(struct http_inbox *in)
{
    if (in->head.capacity > KEEP_MAX)
        ouro__http_buffer_free(&in->head);
    if (in->body.capacity > KEEP_MAX)
        ouro__http_buffer_free(&in->body);
    forget_fields(in);
    in->body.size = 0;
    in->status = 0;
    in->complete = in->moving = false;
    in->seen = in->skipped = 0;
}

void ouro__http_inbox_free(struct http_inbox *in)
{
    ouro__http_buffer_free(&in->head);
    ouro__http_buffer_free(&in->body);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void begin_header(struct http_inbox *in, const char *line, size_t size)
{
    const char *p = memchr(line, ' ', size), *end = line + size;
    forget_fields(in);
    in->status = 0;
    while (p && p < end && *p == ' ')
        p++;
    for (; p && p < end && *p >= '0' && *p <= '9' && in->status < 1000; p++)
        in->status = in->status * 10 + (*p - '0');
}

/* A value goes on in the next line, as it may not any more since RFC 7230. */
static int64_t go_on(struct http_inbox *in, const char *text, size_t size)
{
    if (in->fields == 0)
        return 0;
    in->head.data[in->head.size - 1] = ' ';
    int rc = ouro__http_buffer_add(&in->head, text, size);
    return rc < 0 ? rc : ouro__http_buffer_add(&in->head, "", 1);
}

static int64_t add_field(struct http_inbox *in, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (!colon)
        return 0;
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + size;
    while (value < end && is_blank(*value))
        value++;
    while (name && is_blank(line[name - 1]))
        name--;
    int rc = ouro__http_buffer_reserve(&in->head, size + 2);
    if (rc < 0)
        return rc;
    ouro__http_buffer_add(&in->head, line, name);
    ouro__http_buffer_add(&in->head, "", 1);
    ouro__http_buffer_add(&in->head, value, (size_t)(end - value));
    ouro__http_buffer_add(&in->head, "", 1);
    in->fields++;
    return 0;
}

int64_t ouro__http_inbox_line(struct http_inbox *in, const char *line, size_t size)
{
    in->seen += size;
    if (in->seen > HEADER_MAX)
        return -EMSGSIZE;
    if (in->complete)
        return 0;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        begin_header(in, line, size);
        return 0;
    }
    bool goes_on = size && (line[0] == ' ' || line[0] == '\t');
    while (size && is_blank(line[size - 1]))
        size--;
    if (size == 0) {
        in->complete = in->status >= 200;
        return 0;
    }
    if (!goes_on)
        return add_field(in, line, size);
    for (; size && is_blank(*line); size--)
        line++;
    return go_on(in, line, size);
}

const char *ouro__http_inbox_field(const struct http_inbox *in, const char *name)
{
    const char *p = in->head.data;
    for (size_t i = 0; i < in->fields; i++) {
        const char *value = p + strlen(p) + 1;
        if (strcasecmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

/* ---- What is given out ----------------------------------------------------------------------- */

static void point_fields(ouro_http_response *r, ouro_http_field *fields, const char *text,
                         size_t count)
{
    r->headers = fields;
    r->header_count = count;
    for (size_t i = 0; i < count; i++) {
        fields[i].name = text;
        text += strlen(text) + 1;
        fields[i].value = text;
        text += strlen(text) + 1;
    }
}

static char *put(char **at, const void *from, size_t size)
{
    char *to = *at;
    if (size)
        memcpy(to, from, size);
    *at += size;
    return to;
}

/* The body, in @at if it is small; else its buffer is taken over. */
static void give_body(struct http_inbox *in, struct answer *a, bool is_small, char *at)
{
    a->public.size = in->body.size;
    if (is_small) {
        a->public.body = put(&at, in->body.data, in->body.size);
        *at = '\0';
        return;
    }
    char *fitted = in->body.capacity - in->body.size > KEEP_MAX
                       ? ouro_memory_resize(in->body.data, in->body.size + 1)
                       : NULL;
    a->body = fitted ? fitted : in->body.data;
    a->body[in->body.size] = '\0';
    a->public.body = a->body;
    in->body = (struct http_buffer){0};
}

ouro_http_response *ouro__http_inbox_take(struct http_inbox *in, const char *url)
{
    bool is_small = in->body.size <= SMALL_BODY;
    size_t url_size = strlen(url) + 1;
    size_t fields = in->fields * sizeof(ouro_http_field);
    if (!is_small && ouro__http_buffer_reserve(&in->body, 1) < 0)
        return NULL;
    struct answer *a = ouro_memory_alloc(sizeof(*a) + fields + in->head.size + url_size +
                                         (is_small ? in->body.size + 1 : 0));
    if (!a)
        return NULL;
    *a = (struct answer){.public = {.status = in->status}};
    char *at = (char *)(a + 1) + fields;
    const char *text = put(&at, in->head.data, in->head.size);
    point_fields(&a->public, (ouro_http_field *)(a + 1), text, in->fields);
    a->public.url = ouro__http_show_url(url, at, url_size);
    give_body(in, a, is_small, at + url_size);
    a->public.type = ouro_http_response_header(&a->public, "Content-Type");
    if (!a->public.type)
        a->public.type = "";
    return &a->public;
}

const char *ouro_http_response_header(const ouro_http_response *response, const char *name)
{
    if (!response || !name)
        return NULL;
    for (size_t i = 0; i < response->header_count; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

int ouro_http_response_json(const ouro_http_response *response, struct json_t **ret_json)
{
    json_error_t error;
    if (!response || !ret_json)
        return -EINVAL;
    json_t *json = ouro__http_json_load(response->body, response->size, &error);
    if (!json)
        return -EBADMSG;
    *ret_json = json;
    return 0;
}

ouro_http_response *ouro_http_response_free(ouro_http_response *response)
{
    struct answer *a = (struct answer *)response;
    if (a)
        ouro_memory_release(a->body);
    ouro_memory_release(a);
    return NULL;
}
