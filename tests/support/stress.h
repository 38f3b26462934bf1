/* SPDX-License-Identifier: MIT */
#ifndef OURO_STRESS_H
#define OURO_STRESS_H

/*
 * What stress programs share: a check that ends them, and how much they do.
 */

#include <stdio.h>
#include <stdlib.h>

#define must(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* ThreadSanitizer takes a hundred times as long to make a task. */
#if defined(__SANITIZE_THREAD__)
#    define STORM_STEPS(plain, tsan) (tsan)
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define STORM_STEPS(plain, tsan) (tsan)
#    endif
#endif
#ifndef STORM_STEPS
#    define STORM_STEPS(plain, tsan) (plain)
#endif

#endif
