/* SPDX-License-Identifier: MIT */
#ifndef OURO_DOCTOR_H
#define OURO_DOCTOR_H

/*
 * What ouro-doctor found, and what it makes of that.
 */

#include "probe.h"

#include "surroundings.h"

#include <limits.h>

/* Exit statuses. */
enum {
    OURO__DOCTOR_ALL = 0,   /* ouro runs with all that it can use */
    OURO__DOCTOR_LESS = 1,  /* it runs, but slower or smaller than it could */
    OURO__DOCTOR_NONE = 2,  /* it cannot run */
    OURO__DOCTOR_WRONG = 3, /* wrong usage, or the answer could not be written */
};

struct ouro__advice {
    bool serious; /* something is slower, smaller or missing until it is followed */
    char text[1024];
};

#define OURO__ADVICE_MAX 24

struct ouro__findings {
    struct ouro__machine machine;
    struct ouro__surroundings around;
    char liburing[PATH_MAX];  /* where it was loaded from; "": it is part of the program */
    int rc;                   /* of a ring */
    struct ouro__probe probe; /* with a ring only */
    struct ouro__advice advice[OURO__ADVICE_MAX];
    unsigned advices;
};

/* Fill the advice in. */
void ouro__doctor_advise(struct ouro__findings *f);

/* The exit status that follows from the findings, advice included. */
int ouro__doctor_status(const struct ouro__findings *f);

/* Whether there is a feature of that name. */
bool ouro__doctor_has(const struct ouro__findings *f, const char *name);

/* Tasks that can live at once as far as memory maps are concerned, OURO__UNLIMITED when these are
 * not what bounds them. */
uint64_t ouro__doctor_tasks(const struct ouro__findings *f);

/* For people, and for scripts: to standard output. */
void ouro__doctor_print(const struct ouro__findings *f);
void ouro__doctor_print_json(const struct ouro__findings *f);

#endif
