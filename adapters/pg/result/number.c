/* SPDX-License-Identifier: MIT */
/*
 * Numbers from text, as the server writes it.
 *
 * The C library reads more than the server writes (blanks, hexadecimal numbers), and a comma for a
 * point where the process's locale says so. So it is asked for floating-point numbers alone, in the
 * C locale, after the text was found to be one.
 *
 * Fails with -EBADMSG for what is no number, with -ERANGE for one that is too large.
 */
#include "number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t digits_at(const char *p)
{
    size_t n = 0;
    while (p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* A numeric may be a whole number and have zeros behind a point. */
static bool is_zero_fraction(const char *p)
{
    return !*p || (*p == '.' && p[1] && !p[1 + strspn(p + 1, "0")]);
}

/* Most numbers are of so few digits that nothing can overflow; those are read in one go. */
static bool read_short(const char *p, size_t size, int64_t *ret)
{
    bool negative = *p == '-';
    const char *end = p + size;
    int64_t n = 0;
    p += negative;
    if (p == end || end - p > 18)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = 10 * n + (*p - '0');
    }
    *ret = negative ? -n : n;
    return true;
}

int ouro__pg_int_of_text(const char *text, size_t size, int64_t *ret)
{
    if (read_short(text, size, ret))
        return 0;
    bool negative = *text == '-';
    const char *p = text + (negative || *text == '+');
    size_t digits = digits_at(p);
    if (!digits || strlen(text) != size || !is_zero_fraction(p + digits))
        return -EBADMSG;
    int64_t n = 0; /* below zero, where there is room for one more */
    for (; digits > 0; digits--, p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, *p - '0', &n))
            return -ERANGE;
    if (!negative && n == INT64_MIN)
        return -ERANGE;
    *ret = negative ? n : -n;
    return 0;
}

/* Whether it is digits with a point and an exponent, or not even these. */
static bool is_decimal(const char *p)
{
    p += *p == '-' || *p == '+';
    size_t digits = digits_at(p);
    p += digits;
    if (*p == '.') {
        size_t more = digits_at(p + 1);
        digits += more;
        p += 1 + more;
    }
    if (!digits)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        digits = digits_at(p);
        p += digits;
    }
    return digits && !*p;
}

static double in_c_locale(const char *text)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* there without memory or search */
    double number = c ? strtod_l(text, NULL, c) : strtod(text, NULL);
    if (c)
        freelocale(c);
    return number;
}

int ouro__pg_double_of_text(const char *text, size_t size, double *ret)
{
    if (strlen(text) != size)
        return -EBADMSG;
    if (is_decimal(text)) {
        double number = in_c_locale(text);
        if (isinf(number))
            return -ERANGE;
        *ret = number;
    } else if (strcmp(text, "NaN") == 0) {
        *ret = (double)NAN;
    } else if (strcmp(text, "Infinity") == 0) {
        *ret = (double)INFINITY;
    } else if (strcmp(text, "-Infinity") == 0) {
        *ret = -(double)INFINITY;
    } else {
        return -EBADMSG;
    }
    return 0;
}
