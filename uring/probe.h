/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROBE_H
#define OURO_PROBE_H

/*
 * What io_uring offers here. What every kernel from 6.1 on has is taken for granted.
 */

#include "setup.h"

#define OURO__FEATURES 18
#define OURO__USED_OPS 29

struct ouro__trial; /* two rings to try things on */

/* Something that not every kernel from 6.1 on has, or not for everybody. It is found by a bit the
 * kernel sets, an operation it lists, or by trying. */
struct ouro__feature {
    const char *name;
    const char *since; /* the first kernel */
    const char *what;
    const char *without; /* what ouro does without; NULL: it does not use it, programs may */
    bool cosmetic;       /* without it nothing is slower or smaller */
    unsigned feat;       /* IORING_FEAT_*, or 0 */
    unsigned op;         /* or 0 */
    bool (*try_it)(struct ouro__trial *t);
};

extern const struct ouro__feature ouro__features[OURO__FEATURES];

/* The operations that ouro submits. */
extern const unsigned char ouro__used_ops[OURO__USED_OPS];

struct ouro__probe {
    struct ouro__ring_report ring;
    bool ops[256];
    int ops_known; /* to this kernel: numbers from 0 */
    bool has[OURO__FEATURES];
};

/* Make two rings of @entries, try things on them, give them back. 0, or why a ring cannot be
 * had. */
int ouro__probe(unsigned entries, struct ouro__probe *ret);

#endif
