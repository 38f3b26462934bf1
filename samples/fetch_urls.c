/* SPDX-License-Identifier: MIT */
/*
 * Fetch many URLs at once: the status and the size of each, in the order in which they were given.
 *
 *     fetch_urls URL...           fetch these
 *     fetch_urls --from FILE      those in a file, one a line; - is standard input
 *     fetch_urls --selftest
 *
 * At most 50 are under way at a time. A terminal sees how many are done. What fails is told, does
 * not disturb the others, and makes the exit status 1; any answer of a server is no failure.
 */
#define _GNU_SOURCE
#include <ouro/http.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 50
#define LIMIT   OURO_SEC(30) /* for each */

struct urls {
    char **items;
    size_t count;
    const char *base; /* what need not be shown of them, or NULL */
};

struct fetching {
    ouro_http_client *client;
    ouro_sem *places; /* one for each that may be under way */
    size_t *done;     /* by all */
    size_t *failed;   /* of them */
    size_t total;
};

struct one {
    struct fetching *all;
    const char *url;
    char outcome[512];
};

/* ---- Fetching -------------------------------------------------------------------------------- */

static const char *short_name(const struct urls *urls, const char *url)
{
    size_t size = urls->base ? strlen(urls->base) : 0;
    return size > 0 && strncmp(url, urls->base, size) == 0 ? url + size : url;
}

static void show_progress(const struct fetching *all)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu%s", *all->done, all->total,
                *all->done == all->total ? "\n" : "");
}

static void describe(struct one *o, ouro_future *f, int64_t status, const ouro_http_response *page)
{
    const char *detail = page ? NULL : ouro_future_detail(f);
    if (page)
        snprintf(o->outcome, sizeof o->outcome, "%lld, %zu bytes", (long long)status, page->size);
    else
        snprintf(o->outcome, sizeof o->outcome, "%s", detail ? detail : ouro_strerror(status));
}

/* [fetching] */
static int64_t fetch(void *arg)
{
    struct one *o = arg;
    int64_t status = ouro_sem_acquire(o->all->places, 1);
    if (status < 0)
        return status;
    ouro_future *f = ouro_timeout(ouro_http_get(o->all->client, o->url, NULL), LIMIT);
    ouro_http_response *page = ouro_await_ptr(ouro_ref(f), &status);
    describe(o, f, status, page);
    ouro_http_response_free(page);
    ouro_unref(f);
    ouro_sem_release(o->all->places, 1);
    ++*o->all->done;
    *o->all->failed += status < 0;
    show_progress(o->all);
    return status == -ECANCELED ? status : 0;
}

static int64_t fetch_each(struct fetching *all, const struct urls *urls, struct one *ones,
                          ouro_future **tasks)
{
    for (size_t i = 0; i < urls->count; i++) {
        ones[i] = (struct one){.all = all, .url = urls->items[i]};
        tasks[i] = ouro_spawn(fetch, &ones[i]);
    }
    int64_t rc = ouro_await(ouro_gather(tasks, urls->count, OURO_GATHER_ALL, NULL));
    for (size_t i = 0; rc == 0 && i < urls->count; i++)
        printf("%s: %s\n", short_name(urls, ones[i].url), ones[i].outcome);
    return rc;
}
/* [fetching] */

/* How many could not be fetched, or what kept all from being. */
static int64_t fetch_all(const struct urls *urls)
{
    ouro_sem places;
    size_t done = 0, failed = 0;
    struct fetching all = {
        .places = &places, .done = &done, .failed = &failed, .total = urls->count};
    int64_t rc = ouro_sem_init(&places, AT_ONCE, AT_ONCE);
    if (rc == 0)
        rc = ouro_http_client_new(NULL, &all.client);
    if (rc < 0)
        return rc;
    struct one *ones = calloc(urls->count, sizeof *ones);
    ouro_future **tasks = calloc(urls->count, sizeof *tasks);
    rc = ones && tasks ? fetch_each(&all, urls, ones, tasks) : -ENOMEM;
    free(ones);
    free(tasks);
    ouro_http_client_free(all.client);
    return rc < 0 ? rc : (int64_t)failed;
}

/* ---- What is to be fetched ------------------------------------------------------------------- */

static int add(struct urls *urls, const char *url)
{
    char **more = realloc(urls->items, (urls->count + 1) * sizeof *more);
    char *copy = strdup(url);
    if (more)
        urls->items = more;
    if (!more || !copy) {
        free(copy);
        return -ENOMEM;
    }
    urls->items[urls->count++] = copy;
    return 0;
}

static void drop(struct urls *urls)
{
    for (size_t i = 0; i < urls->count; i++)
        free(urls->items[i]);
    free(urls->items);
}

/* Before the loop runs, so a slow pipe holds nobody up. */
static int read_lines(struct urls *urls, const char *path)
{
    char *line = NULL;
    size_t room = 0;
    int rc = 0;
    FILE *from = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!from)
        return -errno;
    while (rc == 0 && getline(&line, &room, from) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line && *line != '#')
            rc = add(urls, line);
    }
    if (rc == 0 && ferror(from))
        rc = -errno;
    free(line);
    if (from != stdin)
        fclose(from);
    return rc;
}

static int64_t run(void *arg)
{
    return fetch_all(arg);
}

/* ---- The self-test --------------------------------------------------------------------------- */

static int64_t page_of(ouro_http_request *r, void *arg)
{
    int64_t size = 0;
    char text[1024];
    (void)arg;
    if (ouro_http_param_int(r, "size", &size) < 0 || size < 0 || size > (int64_t)sizeof text)
        return -OURO_EHTTP(400);
    memset(text, 'x', sizeof text);
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    return rc < 0 ? rc : ouro_http_reply(r, 200, "text/plain", text, (size_t)size);
}

/* Three pages, one that is not there, and a scheme that nobody speaks. */
static int64_t fetch_from(const char *place)
{
    static const char *const paths[] = {"/pages/100", "/pages/200", "/pages/300", "/nowhere"};
    char base[OURO_ADDRESS_TEXT + 8], url[OURO_ADDRESS_TEXT + 32];
    struct urls urls = {.base = base};
    snprintf(base, sizeof base, "http://%s", place);
    int64_t rc = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths && rc == 0; i++) {
        snprintf(url, sizeof url, "%s%s", base, paths[i]);
        rc = add(&urls, url);
    }
    if (rc == 0)
        rc = add(&urls, "gopher://127.0.0.1/");
    if (rc == 0)
        rc = fetch_all(&urls);
    drop(&urls);
    return rc;
}

static int64_t serve_and_fetch(ouro_http_server *server)
{
    ouro_listener *listener;
    ouro_address address;
    char place[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_http_route(server, "GET", "/pages/{size}", page_of, NULL);
    if (rc == 0)
        rc = ouro_listen("127.0.0.1:0", NULL, &listener);
    if (rc < 0)
        return rc;
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, place, sizeof place);
    ouro_future *serving = ouro_http_serve(server, listener, NULL);
    rc = fetch_from(place); /* the last has no answer */
    ouro_server_stop(serving, 0);
    ouro_await(serving);
    ouro_listener_free(listener);
    return rc == 1 ? 0 : rc < 0 ? rc : -EIO;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    ouro_http_server *server;
    int64_t rc = ouro_http_server_new(NULL, &server);
    if (rc < 0)
        return rc;
    rc = serve_and_fetch(server);
    ouro_http_server_free(server);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t fetch_given(int argc, char **argv)
{
    struct urls urls = {0};
    int64_t rc = 0;
    if (argc == 3 && strcmp(argv[1], "--from") == 0) {
        rc = read_lines(&urls, argv[2]);
        if (rc < 0)
            fprintf(stderr, "%s: %s\n", argv[2], ouro_strerror(rc));
    } else {
        for (int i = 1; i < argc && rc == 0; i++)
            rc = add(&urls, argv[i]);
    }
    if (rc == 0)
        rc = ouro_run(run, &urls, NULL);
    drop(&urls);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: fetch_urls URL... | --from FILE | --selftest\n");
        return 2;
    }
    int64_t rc = strcmp(argv[1], "--selftest") == 0 ? ouro_run(selftest, NULL, NULL)
                                                    : fetch_given(argc, argv);
    return rc > 0 ? 1 : ouro_exit_code(rc);
}
