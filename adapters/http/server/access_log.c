/* SPDX-License-Identifier: MIT */
/*
 * The access log: what is told of each answer, and a line of it in the combined format.
 *
 * What clients send is quoted as nginx and Apache do, so that no client can write a line of its own
 * or a character that a terminal obeys. Without memory a text is left out.
 */
#include "server_int.h"

#include <ouro/time.h>

#include <stdio.h>
#include <string.h>

/* @text with \xXX for quotes, backslashes and what is not visible ASCII; "-" for none. */
static const char *quoted(ouro_http_request *r, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = text ? strlen(text) : 0, strange = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        strange += c < 0x20 || c > 0x7e || c == '"' || c == '\\';
    }
    if (size == 0)
        return "-";
    if (strange == 0)
        return text;
    char *copy = ouro__http_take(&r->c->room->arena, size + 3 * strange + 1), *to = copy;
    if (!copy)
        return "-";
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
    return copy;
}

#define MAPPED "::ffff:"

/* The address alone, without its port. One that came by IPv4 is the same by every listener. */
static const char *client_of(struct http_connection *c)
{
    ouro_address address;
    char text[OURO_ADDRESS_TEXT];
    if (c->peer_known)
        return c->peer;
    c->peer_known = true;
    strcpy(c->peer, "-");
    if (ouro_stream_peer(c->stream, &address) < 0)
        return c->peer;
    if (address.as.any.sa_family == AF_UNIX) {
        strcpy(c->peer, "unix:");
        return c->peer;
    }
    ouro_address_print(&address, text, sizeof(text));
    char *at = text, *end = strrchr(text, ':');
    if (end)
        *end = '\0';
    if (text[0] == '[') {
        at++;
        at[strcspn(at, "]")] = '\0';
    }
    if (strncmp(at, MAPPED, strlen(MAPPED)) == 0 && strchr(at, '.'))
        at += strlen(MAPPED);
    snprintf(c->peer, sizeof(c->peer), "%.63s", at);
    return c->peer;
}

void ouro__http_access(ouro_http_request *r, int status, uint64_t bytes, bool known)
{
    const ouro_http_server_options *opts = &r->c->server->opts;
    if (!opts->on_access)
        return;
    ouro_ns now = ouro_now();
    ouro_http_access line = {
        .client = client_of(r->c),
        .method = known ? r->method : "-",
        .target = known ? quoted(r, r->target) : "-",
        .version = known ? 10 + r->head.minor : 0,
        .status = status,
        .bytes = bytes,
        .time = now > r->start ? now - r->start : 0,
        .user_agent = known ? quoted(r, ouro_http_header(r, "User-Agent")) : "-",
        .referer = known ? quoted(r, ouro_http_header(r, "Referer")) : "-",
    };
    opts->on_access(&line, opts->arg);
}

void ouro_http_log_access(const ouro_http_access *line, void *fp)
{
    char when[40];
    struct tm tm;
    time_t now = time(NULL);
    if (!line || !gmtime_r(&now, &tm))
        return;
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    snprintf(when, sizeof(when), "%02d/%s/%04d:%02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    FILE *to = fp ? fp : stdout;
    flockfile(to); /* workers share it */
    fprintf(to, "%s - - [%s] \"", line->client, when);
    if (line->version)
        fprintf(to, "%s %s HTTP/%d.%d", line->method, line->target, line->version / 10,
                line->version % 10);
    else
        fputc('-', to);
    fprintf(to, "\" %d %llu \"%s\" \"%s\" %.6f\n", line->status, (unsigned long long)line->bytes,
            line->referer, line->user_agent, (double)line->time / 1e9);
    funlockfile(to);
}
