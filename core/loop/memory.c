/* SPDX-License-Identifier: MIT */
/*
 * The allocator hook.
 *
 * All of the library's heap memory passes through here, so that a program can place it, and a test
 * can refuse it. The hook is process-wide and frozen while any loop exists: memory taken from one
 * allocator never goes back to another. The count of calls shows that a steady state makes none.
 */
#include "memory_int.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static ouro_allocator allocator;
static bool custom;
static atomic_uint holders;
static _Atomic uint64_t calls;

void *ouro__alloc(size_t size)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    return custom ? allocator.alloc(size, allocator.arg) : malloc(size);
}

void *ouro__resize(void *ptr, size_t size)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    return custom ? allocator.resize(ptr, size, allocator.arg) : realloc(ptr, size);
}

void ouro__release(void *ptr)
{
    if (custom)
        allocator.release(ptr, allocator.arg);
    else
        free(ptr);
}

bool ouro__allocator_is_custom(void)
{
    return custom;
}

void ouro__allocator_hold(void)
{
    atomic_fetch_add(&holders, 1);
}

void ouro__allocator_let_go(void)
{
    atomic_fetch_sub(&holders, 1);
}

uint64_t ouro__allocations(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

int ouro_set_allocator(const ouro_allocator *a)
{
    if (a && (!a->alloc || !a->resize || !a->release))
        return -EINVAL;
    if (atomic_load(&holders))
        return -EBUSY;
    custom = a != NULL;
    if (a)
        allocator = *a;
    return 0;
}

void *ouro_memory_alloc(size_t size)
{
    return ouro__alloc(size);
}

void *ouro_memory_resize(void *ptr, size_t size)
{
    return ouro__resize(ptr, size);
}

void ouro_memory_release(void *ptr)
{
    ouro__release(ptr);
}
