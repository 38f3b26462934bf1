/* SPDX-License-Identifier: MIT */
#ifndef OURO_BASE_H
#define OURO_BASE_H

#include <stddef.h>
#include <stdint.h>

/**
 * @file base.h
 * The words every other header uses: visibility, attributes, results, times.
 */

/* Everything declared between these two is exported; the library itself is compiled hidden. */
#ifdef __cplusplus
#    define OURO_BEGIN_DECLS \
        extern "C" {         \
        _Pragma("GCC visibility push(default)")
#    define OURO_END_DECLS            \
        _Pragma("GCC visibility pop") \
        }
#else
#    define OURO_BEGIN_DECLS _Pragma("GCC visibility push(default)")
#    define OURO_END_DECLS   _Pragma("GCC visibility pop")
#endif

/** The caller must use the result: dropping it loses an error or a reference. */
#define OURO_NODISCARD __attribute__((warn_unused_result))

/** Version of these headers. ouro_version() has that of the library loaded. */
#define OURO_VERSION_MAJOR 0
/** See OURO_VERSION_MAJOR. */
#define OURO_VERSION_MINOR 1
/** See OURO_VERSION_MAJOR. */
#define OURO_VERSION_PATCH 0
/** The three of them as text. */
#define OURO_VERSION_STRING "0.1.0"

/** Nanoseconds: a duration, or a point of the monotonic clock that ouro_now() reads. */
typedef uint64_t ouro_ns;

/** @p us microseconds as ouro_ns. */
#define OURO_US(us) ((ouro_ns)(us)*1000u)
/** @p ms milliseconds as ouro_ns. */
#define OURO_MS(ms) ((ouro_ns)(ms)*1000000u)
/** @p s seconds as ouro_ns. */
#define OURO_SEC(s) ((ouro_ns)(s)*1000000000u)
/** A duration that never ends and a deadline that never comes. Sums saturate to it. */
#define OURO_FOREVER UINT64_MAX

/**
 * What an operation came to.
 *
 * n >= 0 is a value (a count, a descriptor, a task's return), n < 0 a negative errno or a code of
 * <ouro/error.h>. ptr is an object, or NULL; who destroys it is said where it is handed out.
 */
typedef struct ouro_result {
    int64_t n; /**< the value or the error */
    void *ptr; /**< the object, or NULL */
} ouro_result;

/** Destroys what @p ptr points to. Called on the loop's thread, in a later turn; from inside a call
 *  only where that call says so, and from ouro_unref() once the loop is closed. */
typedef void ouro_free_fn(void *ptr);

OURO_BEGIN_DECLS

/**
 * Version of the library that is loaded, "major.minor.patch".
 *
 * @return A static string.   @thread Any.
 */
const char *ouro_version(void);

OURO_END_DECLS

#endif
