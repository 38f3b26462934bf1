/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_LITERAL_H
#define OURO_PG_LITERAL_H

#include <ouro/pg_value.h>

/* Values in the form in which the server reads them. */

/* Bytes that ouro__pg_literal_write() may need for @v, the zero included; 0 for the SQL NULL. Or
 * -EINVAL, -EILSEQ, -EOVERFLOW. */
int64_t ouro__pg_literal_size(const ouro_pg_value *v);

/* Write it, and a zero behind it. Returns its size without the zero. */
size_t ouro__pg_literal_write(const ouro_pg_value *v, char *to);

/* Decimal digits of @n. */
static inline int pg_digits(uint64_t n)
{
    int digits = 1;
    for (; n >= 10000; n /= 10000)
        digits += 4;
    return digits + (n >= 10) + (n >= 100) + (n >= 1000);
}

/* Write a number without a zero; returns where it ends. */
static inline char *pg_write_int(int64_t n, char *to)
{
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    if (n < 0)
        *to++ = '-';
    char *end = to + pg_digits(rest);
    for (char *p = end; p > to; rest /= 10)
        *--p = (char)('0' + rest % 10);
    return end;
}

#endif
