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
    case OURO_ENOSESSION:
        return "the server refused the session";
    case OURO_EROLLEDBACK:
        return "the transaction was rolled back";
    case OURO_ECOPY:
        return "a COPY where none is allowed, or no COPY where one is needed";
    default:
        return NULL;
    }
}

int ouro_sqlstate(int64_t rc, char ret_text[6])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    ret_text[0] = '\0';
    if (rc > -OURO_ESQL('0', '0', '0', '0', '0') || rc < -OURO_ESQL('Z', 'Z', 'Z', 'Z', 'Z'))
        return 0;
    int64_t packed = -rc - OURO_ESQL('0', '0', '0', '0', '0');
    for (int i = 4; i >= 0; i--, packed /= 36)
        ret_text[i] = digits[packed % 36];
    ret_text[5] = '\0';
    return 1;
}

/* What those SQLSTATEs have in common that begin alike. */
static const char *sql_text(const char *state)
{
    static const struct {
        char class[3];
        const char *text;
    } classes[] = {
        {"08", "the database cannot be reached"},
        {"22", "the database could not make sense of a value"},
        {"23", "a constraint of the database does not hold"},
        {"25", "the transaction does not allow that now"},
        {"28", "the database did not let this user in"},
        {"40", "the database rolled the transaction back"},
        {"42", "the database does not understand the statement, or does not allow it"},
        {"53", "the database lacks the means"},
        {"57", "the database ended it from outside"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (memcmp(state, classes[i].class, 2) == 0)
            return classes[i].text;
    return "the database refused it";
}

const char *ouro_strerror(int64_t rc)
{
    if (rc >= 0)
        return "success";
    if (own_text(rc))
        return own_text(rc);
    if (ouro_signal_of(rc))
        return signal_text(ouro_signal_of(rc));
    if (rc <= -OURO_EHTTP(400) && rc > -OURO_EHTTP(600))
        return rc > -OURO_EHTTP(500) ? "the HTTP request is refused" : "the HTTP server failed";
    char state[6];
    if (ouro_sqlstate(rc, state))
        return sql_text(state);
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
