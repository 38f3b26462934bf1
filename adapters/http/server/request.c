/* SPDX-License-Identifier: MIT */
/*
 * What a handler asks of its request. Texts are made when they are asked for the first time, of
 * what lies in the connection's room, and stay until the handler has returned.
 */
#include "json.h"
#include "server_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *ouro_http_method(const ouro_http_request *r)
{
    return r ? r->method : NULL;
}

const char *ouro_http_path(const ouro_http_request *r)
{
    return r ? r->path : NULL;
}

const char *ouro_http_target(const ouro_http_request *r)
{
    return r ? r->target : NULL;
}

int ouro_http_peer(const ouro_http_request *r, ouro_address *ret_address)
{
    return r && ret_address ? ouro_stream_peer(r->c->stream, ret_address) : -EINVAL;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static bool has_name(const struct http_field *f, const char *name, size_t size)
{
    return f->name.size == size && strncasecmp(f->name.at, name, size) == 0;
}

/* The values of all fields from @i on of that name, with commas between. */
static const char *joined(ouro_http_request *r, size_t i, const char *name, size_t size)
{
    size_t need = 0;
    for (size_t j = i; j < r->head.count; j++)
        if (has_name(&r->head.fields[j], name, size))
            need += r->head.fields[j].value.size + 2;
    char *text = ouro__http_take(&r->c->room->arena, need + 1), *to = text;
    if (!text)
        return NULL;
    for (size_t j = i; j < r->head.count; j++) {
        const struct http_field *f = &r->head.fields[j];
        if (!has_name(f, name, size))
            continue;
        if (to > text) {
            memcpy(to, ", ", 2);
            to += 2;
        }
        memcpy(to, f->value.at, f->value.size);
        to += f->value.size;
    }
    *to = '\0';
    return text;
}

const char *ouro_http_header(ouro_http_request *r, const char *name)
{
    if (!r || !name)
        return NULL;
    size_t size = strlen(name), count = 0, first = 0;
    for (size_t i = 0; i < r->head.count; i++)
        if (has_name(&r->head.fields[i], name, size) && count++ == 0)
            first = i;
    if (count == 0)
        return NULL;
    if (count > 1)
        return joined(r, first, name, size);
    /* A zero behind it, in place: a blank or the end of the line was there. */
    char *in = r->c->room->in;
    const struct http_text *value = &r->head.fields[first].value;
    in[(value->at - in) + (ptrdiff_t)value->size] = '\0';
    return value->at;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static int parse_int(const char *text, int64_t *ret_value)
{
    bool minus = *text == '-';
    uint64_t n = 0, most = (uint64_t)INT64_MAX + minus;
    const char *at = text + minus;
    if (!*at)
        return -EBADMSG;
    bool fits = true;
    for (; *at; at++) {
        if (*at < '0' || *at > '9')
            return -EBADMSG;
        unsigned digit = (unsigned)(*at - '0');
        fits = fits && n <= (most - digit) / 10;
        n = n * 10 + digit;
    }
    if (!fits)
        return -ERANGE;
    *ret_value = minus ? (int64_t)(0 - n) : (int64_t)n;
    return 0;
}

static int int_of(const char *text, int64_t *ret_value)
{
    return text ? parse_int(text, ret_value) : -ENOENT;
}

/* ---- Parameters, query, form ----------------------------------------------------------------- */

const char *ouro_http_param(const ouro_http_request *r, const char *name)
{
    for (int i = 0; r && name && r->route && i < r->route->param_count; i++)
        if (strcmp(r->route->params[i], name) == 0)
            return r->params[i];
    return NULL;
}

int ouro_http_param_int(const ouro_http_request *r, const char *name, int64_t *ret_value)
{
    return ret_value ? int_of(ouro_http_param(r, name), ret_value) : -EINVAL;
}

static char *decoded(struct http_arena *a, const char *text, size_t size)
{
    char *to = ouro__http_take(a, size + 1);
    int64_t n = to ? ouro__http_percent_decode(text, size, true, to) : -1;
    if (n < 0)
        return NULL;
    to[n] = '\0';
    return to;
}

/* What cannot be decoded is left out. */
static void parse_pairs(struct http_arena *a, const char *text, size_t size, struct http_pairs *p)
{
    size_t count = size > 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '&';
    p->parsed = true;
    p->count = 0;
    p->at = ouro__http_take(a, count * sizeof(p->at[0]));
    while (p->at && size) {
        const char *end = memchr(text, '&', size);
        size_t pair = end ? (size_t)(end - text) : size;
        const char *mark = memchr(text, '=', pair);
        size_t name_size = mark ? (size_t)(mark - text) : pair;
        const char *name = pair ? decoded(a, text, name_size) : NULL;
        const char *value = mark ? decoded(a, mark + 1, pair - name_size - 1) : "";
        if (name && value)
            p->at[p->count++] = (struct http_pair){name, value};
        text += pair + (end != NULL);
        size -= pair + (end != NULL);
    }
}

static const char *find(const struct http_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->at[i].name, name) == 0)
            return p->at[i].value;
    return NULL;
}

const char *ouro_http_query(ouro_http_request *r, const char *name)
{
    if (!r || !name)
        return NULL;
    if (!r->query.parsed) {
        const char *mark = strchr(r->target, '?');
        const char *text = mark ? mark + 1 : "";
        parse_pairs(&r->c->room->arena, text, strlen(text), &r->query);
    }
    return find(&r->query, name);
}

int ouro_http_query_int(ouro_http_request *r, const char *name, int64_t *ret_value)
{
    return ret_value ? int_of(ouro_http_query(r, name), ret_value) : -EINVAL;
}

static bool whole_is_read(const ouro_http_request *r)
{
    return r->body.use == HTTP_WHOLE && r->body.over && !r->body.error;
}

const char *ouro_http_form(ouro_http_request *r, const char *name)
{
    static const char form[] = "application/x-www-form-urlencoded";
    if (!r || !name || !whole_is_read(r))
        return NULL;
    if (!r->form.parsed) {
        const char *type = ouro_http_header(r, "Content-Type");
        size_t size = sizeof(form) - 1;
        if (!type || strncasecmp(type, form, size) != 0 || !strchr(" ;\t", type[size]))
            return NULL;
        parse_pairs(&r->c->room->arena, r->body.whole ? r->body.whole : "", (size_t)r->body.got,
                    &r->form);
    }
    return find(&r->form, name);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

int ouro_http_json(ouro_http_request *r, struct json_t **ret_json)
{
    json_error_t error;
    if (!r || !ret_json)
        return -EINVAL;
    if (!whole_is_read(r))
        return -ENODATA;
    const char *text = r->body.whole ? r->body.whole : "";
    json_t *json = ouro__http_json_load(text, (size_t)r->body.got, &error);
    if (json) {
        r->json_error = NULL;
        *ret_json = json;
        return 0;
    }
    char sentence[JSON_ERROR_TEXT_LENGTH + 64];
    int size = snprintf(sentence, sizeof(sentence), "line %d, column %d: %s", error.line,
                        error.column, error.text);
    r->json_error = ouro__http_copy(&r->c->room->arena, sentence, (size_t)size);
    return -EBADMSG;
}

const char *ouro_http_json_error(const ouro_http_request *r)
{
    return r && r->json_error ? r->json_error : "";
}

int64_t ouro_http_reply_json(ouro_http_request *r, int status, struct json_t *json)
{
    if (!json)
        return -ENOMEM;
    char *text;
    int64_t rc = ouro__http_json_text(json, &text);
    json_decref(json);
    if (rc < 0)
        return rc;
    rc = ouro_http_reply(r, status, "application/json", text, strlen(text));
    free(text);
    return rc;
}
