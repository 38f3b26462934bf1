/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_NAMED_H
#define OURO_PG_NAMED_H

#include "params.h"

/* From :names to $1, $2, ...: the values' own order says which number. */

/* Bytes that the rewritten @sql will have, without a zero; or what is wrong: -EINVAL, -ENOKEY,
 * -ENOTUNIQ, -EBADSLT, all with a @complaint, and -ENOMEM. */
int64_t ouro__pg_names_size(const char *sql, const ouro_pg_value *params, size_t count,
                            struct pg_complaint *complaint);

/* Bytes of scratch memory that ouro__pg_names_rewrite() needs, aligned for uint16_t. */
size_t ouro__pg_names_scratch(size_t count);

/* Write the new text and a zero to @to: what ouro__pg_names_size() found to be right. Returns the
 * size. */
size_t ouro__pg_names_rewrite(const char *sql, const ouro_pg_value *params, size_t count,
                              void *scratch, char *to);

#endif
