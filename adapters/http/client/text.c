/* SPDX-License-Identifier: MIT */
/*
 * Text of requests: buffers, encoding, what is a token, and URLs that can be shown.
 *
 * A URL may have a password in it, and be malformed besides. So what is shown is worked out by its
 * letters alone: all between the slashes and the last @ of the authority is left out. What stands
 * there like a port, but is none, may be a password that has one of /?# in it: from there on nothing
 * is shown.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <errno.h>
#include <string.h>

/* ---- Buffers --------------------------------------------------------------------------------- */

int ouro__http_buffer_reserve(struct http_buffer *b, size_t more)
{
    size_t capacity = b->capacity ? b->capacity : 512;
    if (more <= b->capacity - b->size)
        return 0;
    while (capacity - b->size < more) {
        if (capacity > SIZE_MAX / 2)
            return -ENOMEM;
        capacity *= 2;
    }
    char *data = ouro_memory_resize(b->data, capacity);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int ouro__http_buffer_add(struct http_buffer *b, const void *data, size_t size)
{
    int rc = ouro__http_buffer_reserve(b, size);
    if (rc < 0 || size == 0)
        return rc;
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

void ouro__http_buffer_free(struct http_buffer *b)
{
    ouro_memory_release(b->data);
    *b = (struct http_buffer){0};
}

/* ---- Writing --------------------------------------------------------------------------------- */

void ouro__http_ink(struct http_ink *ink, const char *text, size_t size)
{
    if (ink->at && size) {
        memcpy(ink->at, text, size);
        ink->at += size;
    }
    ink->size += size;
}

void ouro__http_ink_text(struct http_ink *ink, const char *text)
{
    ouro__http_ink(ink, text, strlen(text));
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void ouro__http_ink_encoded(struct http_ink *ink, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        char code[3] = {'%', digits[c >> 4], digits[c & 15]};
        if (is_letter_or_digit(*text) || strchr("-._~", c))
            ouro__http_ink(ink, text, 1);
        else
            ouro__http_ink(ink, code, 3);
    }
}

/* ---- Checking -------------------------------------------------------------------------------- */

bool ouro__http_is_token(const char *text)
{
    const char *p = text;
    while (*p && (is_letter_or_digit(*p) || strchr("!#$%&'*+-.^_`|~", *p)))
        p++;
    return *text && !*p;
}

bool ouro__http_is_value(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == '\x7f')
            return false;
    return true;
}

size_t ouro__http_origin_size(const char *url)
{
    const char *colon = strchr(url, ':');
    if (!colon || strncmp(colon, "://", 3) != 0)
        return 0;
    return (size_t)(colon - url) + 3 + strcspn(colon + 3, "/?#");
}

/* ---- Showing --------------------------------------------------------------------------------- */

static void show(const char *text, size_t n, char **at, const char *end)
{
    for (; n && *at < end; n--, text++)
        *(*at)++ = (unsigned char)*text < ' ' || *text == '\x7f' ? '?' : *text;
}

char *ouro__http_show(const char *text, char *buf, size_t size)
{
    char *at = buf;
    show(text, strlen(text), &at, buf + size - 1);
    *at = '\0';
    return buf;
}

/* How many bytes of an authority of @size can be shown: all, if its port is one. */
static size_t up_to_port(const char *authority, size_t size)
{
    size_t at = size;
    while (at > 0 && authority[at - 1] != ':' && authority[at - 1] != ']')
        at--;
    if (at == 0 || authority[at - 1] == ']')
        return size;
    return at + strspn(authority + at, "0123456789") >= size ? size : at;
}

char *ouro__http_show_url(const char *url, char *buf, size_t size)
{
    size_t scheme = strcspn(url, ":/?#@");
    char *at = buf, *end = buf + size - 1;
    scheme = url[scheme] == ':' && url[scheme + 1] == '/' ? scheme + 1 : 0;
    scheme += strspn(url + scheme, "/\\");
    const char *authority = url + scheme;
    size_t n = strcspn(authority, "/?#");
    for (size_t i = n; i > 0; i--)
        if (authority[i - 1] == '@') {
            authority += i;
            n -= i;
            break;
        }
    show(url, scheme, &at, end);
    size_t shown = up_to_port(authority, n);
    show(authority, shown < n ? shown : strlen(authority), &at, end);
    *at = '\0';
    return buf;
}
