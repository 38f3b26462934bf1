/* SPDX-License-Identifier: MIT */
/*
 * Which bytes may stand where in a message, by RFC 9110 and RFC 3986, and what %XX stands for.
 */
#include "tables.h"

#include <string.h>

#define T HTTP_TOKEN
#define V HTTP_VALUE
#define A (HTTP_TOKEN | HTTP_VALUE | HTTP_TARGET | HTTP_HOST)
#define B (HTTP_VALUE | HTTP_TARGET)
#define C (HTTP_VALUE | HTTP_TARGET | HTTP_HOST)

/* RFC 9110: token in 5.6.2, field-value in 5.5. RFC 3986: a target takes what any URI has, thus what
 * is visible in ASCII but for " < > \ ^ ` { | } and the #, behind which a fragment would begin; a
 * host what a reg-name has. */
const unsigned char ouro__http_class[128] = {
    ['\t'] = V,    [' '] = V,  ['!'] = A,     ['"'] = V, ['#'] = T | V, ['$'] = A,  ['%'] = A,
    ['&'] = A,     ['\''] = A, ['('] = C,     [')'] = C, ['*'] = A,     ['+'] = A,  [','] = C,
    ['-'] = A,     ['.'] = A,  ['/'] = B,     ['0'] = A, ['1'] = A,     ['2'] = A,  ['3'] = A,
    ['4'] = A,     ['5'] = A,  ['6'] = A,     ['7'] = A, ['8'] = A,     ['9'] = A,  [':'] = B,
    [';'] = C,     ['<'] = V,  ['='] = C,     ['>'] = V, ['?'] = B,     ['@'] = B,  ['A'] = A,
    ['B'] = A,     ['C'] = A,  ['D'] = A,     ['E'] = A, ['F'] = A,     ['G'] = A,  ['H'] = A,
    ['I'] = A,     ['J'] = A,  ['K'] = A,     ['L'] = A, ['M'] = A,     ['N'] = A,  ['O'] = A,
    ['P'] = A,     ['Q'] = A,  ['R'] = A,     ['S'] = A, ['T'] = A,     ['U'] = A,  ['V'] = A,
    ['W'] = A,     ['X'] = A,  ['Y'] = A,     ['Z'] = A, ['['] = B,     ['\\'] = V, [']'] = B,
    ['^'] = T | V, ['_'] = A,  ['`'] = T | V, ['a'] = A, ['b'] = A,     ['c'] = A,  ['d'] = A,
    ['e'] = A,     ['f'] = A,  ['g'] = A,     ['h'] = A, ['i'] = A,     ['j'] = A,  ['k'] = A,
    ['l'] = A,     ['m'] = A,  ['n'] = A,     ['o'] = A, ['p'] = A,     ['q'] = A,  ['r'] = A,
    ['s'] = A,     ['t'] = A,  ['u'] = A,     ['v'] = A, ['w'] = A,     ['x'] = A,  ['y'] = A,
    ['z'] = A,     ['{'] = V,  ['|'] = T | V, ['}'] = V, ['~'] = A,
};

static bool all_of(const char *text, size_t size, unsigned char class)
{
    for (size_t i = 0; i < size; i++)
        if (!ouro__http_is(text[i], class))
            return false;
    return true;
}

bool ouro__http_parser_is_token(const char *name, size_t size)
{
    return size > 0 && all_of(name, size, HTTP_TOKEN);
}

/* Whether one of eight bytes is a control, or looks like one beside a control. */
static bool has_control(const char *at)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    uint64_t del = bytes ^ ones * 0x7f;
    uint64_t low = (bytes - ones * ' ') & ~bytes, zero = (del - ones) & ~del;
    return (low | zero) & ones * 0x80;
}

size_t ouro__http_value_length(const char *at, size_t size)
{
    size_t i = 0;
    while (size - i >= 8 && !has_control(at + i))
        i += 8;
    while (i < size && ouro__http_is(at[i], HTTP_VALUE))
        i++;
    return i;
}

bool ouro__http_parser_is_value(const char *value, size_t size)
{
    return ouro__http_value_length(value, size) == size;
}

bool ouro__http_is_target(const char *text, size_t size)
{
    return size > 0 && all_of(text, size, HTTP_TARGET);
}

int ouro__http_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int64_t ouro__http_percent_decode(const char *text, size_t size, bool plus, char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? ouro__http_hex(text[i + 1]) : -1;
            int low = high >= 0 ? ouro__http_hex(text[i + 2]) : -1;
            if (low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return -1;
        to[used++] = c;
    }
    return (int64_t)used;
}

/* Take "//", "/./" and "/../" out of a path that begins with a slash. False: it leads above the
 * root. */
static bool clean_path(char *path, size_t *size)
{
    size_t used = 0, i = 0;
    while (i < *size) {
        size_t end = i + 1;
        while (end < *size && path[end] != '/')
            end++;
        size_t length = end - i; /* of a segment with its slash */
        bool last = end == *size;
        if (length == 3 && path[i + 1] == '.' && path[i + 2] == '.') {
            if (used == 0)
                return false;
            while (path[--used] != '/')
                continue;
            if (last)
                path[used++] = '/';
        } else if (length == 2 && path[i + 1] == '.') {
            if (last)
                path[used++] = '/';
        } else if (length > 1 || last) {
            memmove(path + used, path + i, length);
            used += length;
        }
        i = end;
    }
    if (used == 0)
        path[used++] = '/';
    *size = used;
    return true;
}

/* An escaped slash is part of a segment (RFC 3986, 2.2), which a decoded path cannot show: it would
 * look like one that divides, and lead a router, or a file, astray. */
static bool has_escaped_slash(const char *path, size_t size)
{
    for (size_t i = 0; i + 2 < size; i++)
        if (path[i] == '%' && path[i + 1] == '2' && (path[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

int64_t ouro__http_path_decode(const char *target, size_t size, char *to, size_t *ret_query)
{
    const char *mark = memchr(target, '?', size);
    size_t path = mark ? (size_t)(mark - target) : size;
    *ret_query = path;
    if (mark == target) { /* of a URL without a path */
        memcpy(to, "/", 2);
        return 1;
    }
    if (has_escaped_slash(target, path))
        return -1;
    int64_t n = ouro__http_percent_decode(target, path, false, to);
    if (n <= 0 || to[0] != '/')
        return -1;
    size_t used = (size_t)n;
    if (!clean_path(to, &used))
        return -1;
    to[used] = '\0';
    return (int64_t)used;
}
