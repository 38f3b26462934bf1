/* SPDX-License-Identifier: MIT */
/*
 * The binary form of a numeric: four 16-bit numbers, which are how many digits there are, the power
 * of the first, the sign, and how many decimals to show; then the digits, to the base of 10 000.
 *
 * A whole number is summed up. A floating-point number is written down in decimal and read as such,
 * so that it is rounded once, and rightly.
 *
 * Fails with -EBADMSG for what is no such thing, with -ERANGE for what is too large.
 */
#include "cell.h"
#include "number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* With so many digits of ours, and one to say that there are more, no two doubles are confused: the
 * middle between two of them has 767 digits at most. */
#define GROUPS 200

struct numeric {
    int count;
    int weight; /* of the first digit; the value is digit * 10000 ^ weight, and so on downwards */
    unsigned sign;
    const char *digits;
};

enum { PLUS = 0, MINUS = 0x4000, NOT_A_NUMBER = 0xC000, ENDLESS = 0xD000, MINUS_ENDLESS = 0xF000 };

static int digit(const struct numeric *n, int i)
{
    return i < n->count ? (int)pg_unsigned_of(n->digits + 2 * i, 2) : 0;
}

static bool take(const char *data, size_t size, struct numeric *ret)
{
    if (size < 8)
        return false;
    *ret = (struct numeric){.count = (int)pg_unsigned_of(data, 2),
                            .weight = (int)pg_signed_of(data + 2, 2),
                            .sign = (unsigned)pg_unsigned_of(data + 4, 2),
                            .digits = data + 8};
    if (size != 8 + 2 * (size_t)ret->count)
        return false;
    for (int i = 0; i < ret->count; i++)
        if (digit(ret, i) > 9999)
            return false;
    return true;
}

static bool has_fraction(const struct numeric *n)
{
    for (int i = n->weight < 0 ? 0 : n->weight + 1; i < n->count; i++)
        if (digit(n, i))
            return true;
    return false;
}

int ouro__pg_int_of_numeric(const char *data, size_t size, int64_t *ret)
{
    struct numeric n;
    if (!take(data, size, &n) || (n.sign != PLUS && n.sign != MINUS) || has_fraction(&n))
        return -EBADMSG;
    int64_t sum = 0; /* below zero, where there is room for one more */
    for (int i = 0; i <= n.weight && n.count; i++)
        if (__builtin_mul_overflow(sum, 10000, &sum) ||
            __builtin_sub_overflow(sum, digit(&n, i), &sum))
            return -ERANGE;
    if (n.sign == PLUS && sum == INT64_MIN)
        return -ERANGE;
    *ret = n.sign == PLUS ? -sum : sum;
    return 0;
}

static int double_of_digits(const struct numeric *n, double *ret)
{
    char text[4 * GROUPS + 32];
    char *p = text;
    int groups = n->count < GROUPS ? n->count : GROUPS;
    int power = 4 * (n->weight - groups + 1);
    *p++ = n->sign == MINUS ? '-' : '+';
    *p++ = '0';
    for (int i = 0; i < groups; i++)
        for (int value = digit(n, i), unit = 1000; unit; value %= unit, unit /= 10)
            *p++ = (char)('0' + value / unit);
    for (int i = groups; i < n->count; i++)
        if (digit(n, i)) {
            *p++ = '1';
            power--;
            break;
        }
    p += snprintf(p, 16, "e%d", power);
    return ouro__pg_double_of_text(text, (size_t)(p - text), ret);
}

int ouro__pg_double_of_numeric(const char *data, size_t size, double *ret)
{
    struct numeric n;
    if (!take(data, size, &n))
        return -EBADMSG;
    switch (n.sign) {
    case PLUS:
    case MINUS:
        return double_of_digits(&n, ret);
    case NOT_A_NUMBER:
        *ret = (double)NAN;
        return 0;
    case ENDLESS:
        *ret = (double)INFINITY;
        return 0;
    case MINUS_ENDLESS:
        *ret = -(double)INFINITY;
        return 0;
    default:
        return -EBADMSG;
    }
}
