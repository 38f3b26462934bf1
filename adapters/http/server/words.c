/* SPDX-License-Identifier: MIT */
/*
 * Words of HTTP that files need: dates, and types by the ending of a name.
 */
#include "server_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- Dates ----------------------------------------------------------------------------------- */

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void ouro__http_date(time_t when, char text[HTTP_DATE_SIZE])
{
    struct tm tm;
    char long_enough[128];
    if (!gmtime_r(&when, &tm))
        memset(&tm, 0, sizeof(tm));
    snprintf(long_enough, sizeof(long_enough), "%s, %02d %s %04d %02d:%02d:%02d GMT",
             days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
    memcpy(text, long_enough, HTTP_DATE_SIZE - 1);
    text[HTTP_DATE_SIZE - 1] = '\0';
}

static int number(const char *text, size_t size)
{
    int n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    return n;
}

/* The one form that is still sent: "Sun, 06 Nov 1994 08:49:37 GMT". */
int64_t ouro__http_date_parse(const char *text)
{
    if (strlen(text) != HTTP_DATE_SIZE - 1 || strcmp(text + 25, " GMT") != 0 || text[3] != ',' ||
        text[19] != ':' || text[22] != ':')
        return -1;
    struct tm tm = {
        .tm_mday = number(text + 5, 2),
        .tm_mon = -1,
        .tm_year = number(text + 12, 4) - 1900,
        .tm_hour = number(text + 17, 2),
        .tm_min = number(text + 20, 2),
        .tm_sec = number(text + 23, 2),
    };
    for (int i = 0; i < 12; i++)
        if (memcmp(months[i], text + 8, 3) == 0)
            tm.tm_mon = i;
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_mon < 0 || tm.tm_year < 0 || tm.tm_hour < 0 ||
        tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return -1;
    return timegm(&tm);
}

/* ---- Types ----------------------------------------------------------------------------------- */

static const struct {
    const char *ending;
    const char *type;
} types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tar", "application/x-tar"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
};

const char *ouro__http_mime(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(types[i].ending, dot + 1) == 0)
            return types[i].type;
    return "application/octet-stream";
}
