/* SPDX-License-Identifier: MIT */
#ifndef OURO_MEMORY_H
#define OURO_MEMORY_H

#include <ouro/base.h>

/**
 * @file memory.h
 * Where the library's memory comes from.
 */

/** The three functions, with the contracts of malloc(3). Called from any thread. */
typedef struct ouro_allocator {
    void *(*alloc)(size_t size, void *arg);             /**< NULL when there is none */
    void *(*resize)(void *ptr, size_t size, void *arg); /**< NULL leaves @p ptr as it was */
    void (*release)(void *ptr, void *arg);              /**< ptr may be NULL */
    void *arg;                                          /**< passed to each; borrowed */
} ouro_allocator;

OURO_BEGIN_DECLS

/**
 * Take all memory from @p a from now on.
 *
 * Small objects then come from it one by one instead of in slabs, so that it sees, and can refuse,
 * every single one. Task stacks are mapped, never allocated; the stack map asks `alloc` too.
 *
 * @param a  Copied. NULL restores malloc(3).
 * @return 0, -EBUSY (a loop exists somewhere in the process, or names are still known: see
 *         ouro_resolve_flush()), -EINVAL (a function is missing).
 * @thread Any, but before the first loop.
 */
int ouro_set_allocator(const ouro_allocator *a);

/**
 * Take memory from where the library does: for adapters, so that tests which refuse it reach them.
 *
 * @param size  Bytes.
 * @return The memory, yours until ouro_memory_release(); NULL when there is none.   @thread Any.
 */
void *ouro_memory_alloc(size_t size) OURO_NODISCARD;

/**
 * Make memory larger or smaller.
 *
 * @param ptr   Consumed on success; NULL is allowed.
 * @param size  Bytes, more than 0.
 * @return The memory, which may have moved; NULL when there is none: @p ptr is as it was.
 * @thread Any.
 */
void *ouro_memory_resize(void *ptr, size_t size) OURO_NODISCARD;

/**
 * Give memory back.
 *
 * @param ptr  Consumed; NULL is allowed.   @thread Any.
 */
void ouro_memory_release(void *ptr);

OURO_END_DECLS

#endif
