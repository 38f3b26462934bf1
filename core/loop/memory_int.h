/* SPDX-License-Identifier: MIT */
#ifndef OURO_MEMORY_INT_H
#define OURO_MEMORY_INT_H

#include <ouro/memory.h>

#include <stdbool.h>

/* Whether objects are to come one by one, so that a hook or a sanitizer sees each of them. */
#if defined(__SANITIZE_ADDRESS__)
#    define OURO__NO_SLABS 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define OURO__NO_SLABS 1
#    endif
#endif
#ifndef OURO__NO_SLABS
#    define OURO__NO_SLABS 0
#endif

void *ouro__alloc(size_t size);
void *ouro__resize(void *ptr, size_t size);
void ouro__release(void *ptr);

/* Whether ouro_set_allocator() is in effect. */
bool ouro__allocator_is_custom(void);

/* The allocator may change only while there is no loop. */
void ouro__allocator_hold(void);
void ouro__allocator_let_go(void);

/* Calls of the allocator since the process began. */
uint64_t ouro__allocations(void);

#endif
