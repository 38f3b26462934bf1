/* SPDX-License-Identifier: MIT */
#ifndef OURO_MEMCHECK_H
#define OURO_MEMCHECK_H

/*
 * Valgrind's Memcheck sees what system calls write, and not what the ring writes. So it is told;
 * without Valgrind that is nothing.
 */

#include <stddef.h>

#ifdef __has_include
#    if __has_include(<valgrind/memcheck.h>)
#        include <valgrind/memcheck.h>
#    endif
#endif

/* The ring has written, or may write, @size bytes there. */
static inline void ouro__memory_is_written(const void *at, size_t size)
{
#ifdef VALGRIND_MAKE_MEM_DEFINED
    VALGRIND_MAKE_MEM_DEFINED(at, size);
#else
    (void)at;
    (void)size;
#endif
}

#endif
