/* SPDX-License-Identifier: MIT */
/*
 * Where a statement refers to values: as much of SQL's lexical rules as that takes.
 *
 * A colon directly before a letter or an underscore is a reference, unless it stands in quotes or a
 * comment, or beside another colon. The one thing that this takes from SQL are slices of arrays
 * between names: a[low:high] has to be written a[low : high] or a[(low):(high)].
 *
 * Backslashes matter in E'...' alone, as they have since standard_conforming_strings is on.
 *
 * Happy path: from one token to the next, each skipped as a whole. Nothing is stored. What is not
 * closed reaches to the end: the server will say so. Nothing fails.
 */
#include "lexer.h"

#include <string.h>

static const char *end_of(const char *p)
{
    return p + strlen(p);
}

/* Behind the next @quote. A doubled one ends a text and begins another, which is the same to us. */
static const char *skip_quoted(const char *p, char quote)
{
    const char *close = strchr(p, quote);
    return close ? close + 1 : end_of(p);
}

static const char *skip_line(const char *p)
{
    return p + strcspn(p, "\r\n");
}

/* Behind the quote of a text that goes on in a later line, with nothing but blanks and comments
 * between: there the rules of its first piece hold. NULL: it does not go on. */
static const char *continued(const char *p)
{
    bool line = false;
    for (;; p++) {
        if (p[0] == '-' && p[1] == '-')
            p = skip_line(p);
        if (*p == '\n' || *p == '\r')
            line = true;
        else if (*p == '\'')
            return line ? p + 1 : NULL;
        else if (*p != ' ' && *p != '\t' && *p != '\f')
            return NULL;
    }
}

/* Behind a text with backslashes, of which @p is the first byte. */
static const char *skip_escaped(const char *p)
{
    for (;;) {
        p += strcspn(p, "\\'");
        if (!*p)
            return p;
        if (*p == '\\') {
            p += p[1] ? 2 : 1;
        } else if (p[1] == '\'') {
            p += 2;
        } else {
            const char *more = continued(p + 1);
            if (!more)
                return p + 1;
            p = more;
        }
    }
}

static const char *skip_comment(const char *p)
{
    for (size_t depth = 1; depth;) {
        p += strcspn(p, "*/");
        if (!*p)
            break;
        if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
        } else if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else {
            p++;
        }
    }
    return p;
}

/* Behind $tag$ ... $tag$, or behind a dollar that begins no such thing. */
static const char *skip_dollar(const char *p)
{
    const char *q = p + 1;
    if (pg_begins_name(*q))
        while (pg_in_name(*q))
            q++;
    if (*q != '$')
        return p + 1;
    size_t size = (size_t)(q + 1 - p);
    for (const char *close = q + 1; (close = strchr(close, '$')); close++)
        if (strncmp(close, p, size) == 0)
            return close + size;
    return end_of(q);
}

static const char *skip_word(const char *p)
{
    const char *word = p;
    while (pg_in_word(*p))
        p++;
    bool escapes = *p == '\'' && p == word + 1 && (*word == 'E' || *word == 'e');
    return escapes ? skip_escaped(p + 1) : p;
}

/* The reference that a colon or a dollar at @p begins: 0 bytes if it is something else. */
static size_t reference_size(const char *p)
{
    const char *q = p + 1;
    if (*p == '$') {
        while (pg_is_digit(*q))
            q++;
    } else if (pg_begins_name(*q)) {
        while (pg_in_name(*q))
            q++;
    }
    return q == p + 1 ? 0 : (size_t)(q - p);
}

static const char *skip_other(const char *p)
{
    switch (*p) {
    case '\'':
    case '"':
        return skip_quoted(p + 1, *p);
    case '-':
        return p[1] == '-' ? skip_line(p + 2) : p + 1;
    case '/':
        return p[1] == '*' ? skip_comment(p + 2) : p + 1;
    case '$':
        return skip_dollar(p);
    case ':':
        return p + strspn(p, ":");
    default:
        return pg_begins_name(*p) ? skip_word(p) : p + 1;
    }
}

bool ouro__pg_reference_next(const char **at, struct pg_reference *ret)
{
    const char *p = *at;
    while (*p) {
        size_t size = *p == ':' || *p == '$' ? reference_size(p) : 0;
        if (size) {
            *ret = (struct pg_reference){.start = p, .size = size, .numbered = *p == '$'};
            *at = p + size;
            return true;
        }
        p = skip_other(p);
    }
    *at = p;
    return false;
}
