/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TEXT_H
#define OURO_PG_TEXT_H

#include <stddef.h>

/* Copy what fits of @text and a zero into @to, which has @room bytes, at least 1: whole characters
 * of UTF-8. Returns the bytes without the zero. */
size_t ouro__pg_text_copy(char *to, size_t room, const char *text, size_t size);

#endif
