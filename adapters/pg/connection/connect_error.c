/* SPDX-License-Identifier: MIT */
/*
 * Why libpq could not connect: a code, made of the words that are all it gives.
 *
 * A refusal by the server has its SQLSTATE in the message, in the verbose form that was asked for:
 * "FATAL:  28P01: password ...". A refusal by the kernel ends in the text of its errno. The last of
 * the former counts, since it comes from somebody who was there, else the first of the latter.
 */
#include "places.h"

#include <ouro/error.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "result_int.h"

/* What connect(2), send(2) and recv(2) fail with when somebody is not there. */
static const int likely[] = {ECONNREFUSED, ETIMEDOUT,    EHOSTUNREACH, ENETUNREACH,   ENOENT,
                             ECONNRESET,   EACCES,       EPIPE,        EADDRNOTAVAIL, EMFILE,
                             ENFILE,       EAFNOSUPPORT, ENETDOWN,     EHOSTDOWN,     EPERM,
                             ENOBUFS,      ENOMEM};

/* Whether @text begins with a SQLSTATE and a colon. */
static int is_sqlstate(const char *text)
{
    for (int i = 0; i < 5; i++)
        if (!isdigit((unsigned char)text[i]) && !isupper((unsigned char)text[i]))
            return 0;
    return text[5] == ':';
}

static int64_t code_of(const char *message)
{
    char sqlstate[6] = "", text[128];
    for (const char *at = message; (at = strstr(at, ":  ")); at += 3)
        if (is_sqlstate(at + 3))
            memcpy(sqlstate, at + 3, 5);
    if (*sqlstate)
        return ouro__pg_code(sqlstate);
    for (size_t i = 0; i < sizeof likely / sizeof *likely; i++)
        if (strstr(message, strerror_r(likely[i], text, sizeof text)))
            return -likely[i];
    if (strstr(message, "server closed the connection unexpectedly"))
        return -ECONNRESET;
    return -OURO_ENOSESSION;
}

/* Of the lines that follow a message, those that say where in the server's source it was made are
 * for nobody here, and advice is for people. */
static int is_worth_telling(const char *line)
{
    return *line && *line != '\t' && strncmp(line, "LOCATION:", 9) != 0;
}

int64_t ouro__pg_connect_error(const char *message, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (const char *line = message; *line;) {
        size_t length = strcspn(line, "\n");
        if (is_worth_telling(line) && length && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? "; " : "",
                                     (int)length, line);
        line += length + (line[length] != '\0');
    }
    return code_of(message);
}
