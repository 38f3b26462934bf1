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

#define SIGNAL_MAX 64 /* of Linux: _NSIG is one more */

const char *ouro_version(void)
{
    return OURO_VERSION_STRING;
}

int ouro_signal_of(int64_t rc)
{
    return rc < -OURO_ESIGNALED(0) && rc >= -OURO_ESIGNALED(SIGNAL_MAX)
               ? (int)-rc - OURO_ESIGNALED(0)
               : 0;
}

/* A static text: there are no more signals than fit. */
static const char *signal_text(int number)
{
    const char *text = sigdescr_np(number);
    return text ? text : "real-time signal";
}

/* A code of our own; NULL: another. */
static const char *own_text(int64_t rc)
{
    switch (rc == INT64_MIN ? 0 : -rc) {
    case OURO_ECHILDCANCELLED:
        return "a future waited for was cancelled by somebody else";
    case OURO_EWORKEREXIT:
        return "a worker process exited without having answered";
    case OURO_ENONAME:
        return "there is no host of that name";
    case OURO_ENOADDRESS:
        return "the host has no address of that family";
    case OURO_ENOSERVICE:
        return "there is no service of that name";
    case OURO_ETRYAGAIN:
        return "no name server has answered";
    case OURO_ERESOLVER:
        return "the name server failed";
    default:
        return NULL;
    }
}

const char *ouro_strerror(int64_t rc)
{
    if (rc >= 0)
        return "success";
    if (own_text(rc))
        return own_text(rc);
    if (ouro_signal_of(rc))
        return signal_text(ouro_signal_of(rc));
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
