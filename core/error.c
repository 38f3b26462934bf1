/* SPDX-License-Identifier: MIT */
/*
 * Errors in words, and the version.
 */
#include <ouro/error.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

const char *ouro_version(void)
{
    return OURO_VERSION_STRING;
}

const char *ouro_strerror(int64_t rc)
{
    if (rc >= 0)
        return "success";
    if (rc == -OURO_ECHILDCANCELLED)
        return "a future waited for was cancelled by somebody else";
    const char *text = rc >= -INT_MAX ? strerrordesc_np((int)-rc) : NULL;
    return text ? text : "unknown error";
}

size_t ouro_explain(int64_t rc, char *buf, size_t size)
{
    const char *text = NULL;
    if (rc >= 0)
        text = "nothing is wrong";
    else if (rc == -EBUSY)
        text = "this thread has a loop already; a thread has one at a time";
    else if (rc == -ECHILD)
        text = "this thread's loop was made before a fork and is the parent's: close it first";
    else if (rc == -EINVAL)
        text = "an argument is NULL or an option is beyond its limit";
    if (!text && rc >= -INT_MAX)
        return ouro__ring_explain((int)rc, buf, size);
    int n = snprintf(buf, size, "%s", text ? text : ouro_strerror(rc));
    return n < 0 ? 0 : (size_t)n;
}
