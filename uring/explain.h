/* SPDX-License-Identifier: MIT */
#ifndef OURO_EXPLAIN_H
#define OURO_EXPLAIN_H

#include "machine.h"

#include <stddef.h>

/* ouro__ring_explain() for a machine that was looked at before. */
size_t ouro__ring_explain_on(const struct ouro__machine *m, int rc, char *buf, size_t size);

#endif
