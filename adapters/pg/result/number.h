/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_NUMBER_H
#define OURO_PG_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Numbers in the forms in which the server writes them. All return 0, -ERANGE or -EBADMSG, and
 * write on success alone. Texts have a zero behind them. */

int ouro__pg_int_of_text(const char *text, size_t size, int64_t *ret);
int ouro__pg_double_of_text(const char *text, size_t size, double *ret);

/* Of the binary form of a numeric. */
int ouro__pg_int_of_numeric(const char *data, size_t size, int64_t *ret);
int ouro__pg_double_of_numeric(const char *data, size_t size, double *ret);

#endif
