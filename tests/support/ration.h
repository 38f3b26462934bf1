/* SPDX-License-Identifier: MIT */
#ifndef OURO_RATION_H
#define OURO_RATION_H

/*
 * An allocator that refuses one allocation, the fail_at-th, on whichever thread it is, and counts
 * what is out: for tests that run a scenario again and again, each time with one more granted.
 */

#include <ouro/memory.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_uint asked, refused; /* allocations, so far */
static unsigned fail_at;           /* from 1; 0: none */
static atomic_int blocks;          /* that have not been given back */

static inline bool ration_refuses(void)
{
    bool no = atomic_fetch_add(&asked, 1) + 1 == fail_at;
    refused += no;
    return no;
}

static inline void *ration_alloc(size_t size, void *arg)
{
    (void)arg;
    void *ptr = ration_refuses() ? NULL : malloc(size);
    blocks += ptr != NULL;
    return ptr;
}

static inline void *ration_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (ration_refuses())
        return NULL;
    blocks += ptr == NULL;
    return realloc(ptr, size);
}

static inline void ration_release(void *ptr, void *arg)
{
    (void)arg;
    blocks -= ptr != NULL;
    free(ptr);
}

static const ouro_allocator rationed = {ration_alloc, ration_resize, ration_release, NULL};

#endif
