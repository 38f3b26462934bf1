/* SPDX-License-Identifier: MIT */
/*
 * Which bytes may stand where in a message, by RFC 9110 and RFC 3986, and what %XX stands for.
 */
#include "tables.h"

#include <string.h>

#define T HTTP_TOKEN
#define V HTTP_VALUE
#define G HTTP_TARGET
#define A (HTTP_TOKEN | HTTP_VALUE | HTTP_TARGET)
#define B (HTTP_VALUE | HTTP_TARGET)

/* RFC 9110: token in 5.6.2, field-value in 5.5. A target
 * takes what is visible in ASCII, but for what no URI has: " < > \ ^ ` { | } and the #, behind which
 * a fragment would begin. */
const unsigned char http__class[128] = {
    ['\t'] = V,    [' '] = V,  ['!'] = A,     ['"'] = V, ['#'] = T | V, ['$'] = A,  ['%'] = A,
    ['&'] = A,     ['\''] = A, ['('] = B,     [')'] = B, ['*'] = A,     ['+'] = A,  [','] = B,
    ['-'] = A,     ['.'] = A,  ['/'] = B,     ['0'] = A, ['1'] = A,     ['2'] = A,  ['3'] = A,
    ['4'] = A,     ['5'] = A,  ['6'] = A,     ['7'] = A, ['8'] = A,     ['9'] = A,  [':'] = B,
    [';'] = B,     ['<'] = V,  ['='] = B,     ['>'] = V, ['?'] = B,     ['@'] = B,  ['A'] = A,
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
        if (!http__is(text[i], class))
            return false;
    return true;
}

bool http_is_token(const char *name, size_t size)
{
    return size > 0 && all_of(name, size, HTTP_TOKEN);
}

bool http_is_value(const char *value, size_t size)
{
    return all_of(value, size, HTTP_VALUE);
}

bool http__is_target(const char *text, size_t size)
{
    return size > 0 && all_of(text, size, HTTP_TARGET);
}

int http__hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int64_t http_percent_decode(const char *text, size_t size, bool plus, char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? http__hex(text[i + 1]) : -1;
            int low = high >= 0 ? http__hex(text[i + 2]) : -1;
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

int64_t http_path_decode(const char *target, size_t size, char *to, size_t *ret_query)
{
    const char *mark = memchr(target, '?', size);
    size_t path = mark ? (size_t)(mark - target) : size;
    *ret_query = path;
    int64_t n = http_percent_decode(target, path, false, to);
    if (n <= 0 || to[0] != '/')
        return -1;
    size_t used = (size_t)n;
    if (!clean_path(to, &used))
        return -1;
    to[used] = '\0';
    return (int64_t)used;
}
