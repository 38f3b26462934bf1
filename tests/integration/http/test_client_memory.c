/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where the HTTP client asks for it.
 *
 * A scenario runs again and again, each time with one allocation more granted before one is
 * refused, until a run needs no more. What a request comes to is what it comes to with memory, or
 * -ENOMEM; every block and every descriptor is given back.
 */
#define _GNU_SOURCE
#include "http_test.h"
#include "nginx.h"

#include <stdatomic.h>

static unsigned asked, refused, fail_at;
static atomic_int blocks;

static bool refuse(void)
{
    bool no = fail_at && ++asked == fail_at;
    refused += no;
    return no;
}

static void *ration_alloc(size_t size, void *arg)
{
    (void)arg;
    void *ptr = refuse() ? NULL : malloc(size);
    blocks += ptr != NULL;
    return ptr;
}

static void *ration_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (refuse())
        return NULL;
    blocks += ptr == NULL;
    return realloc(ptr, size);
}

static void ration_release(void *ptr, void *arg)
{
    (void)arg;
    blocks -= ptr != NULL;
    free(ptr);
}

static void came_to(ouro_future *f, int64_t wanted)
{
    int64_t rc;
    ouro_http_response *r = ouro_await_ptr(f, &rc);
    if (rc != wanted && rc != -ENOMEM)
        cr_assert_fail("allocation %u refused: %lld", fail_at, (long long)rc);
    check_eq(r != NULL, rc >= 0);
    ouro_http_response_free(r);
}

static int64_t requests(void *arg)
{
    const struct nginx *n = arg;
    char url[256];
    const ouro_http_field field = {"X-Test", "1"};
    ouro_http_options o = {
        .headers = &field, .header_count = 1, .query = &field, .query_count = 1, .json = "{}"};
    ouro_http_client_options opts = {.proxy = "", .ca_file = "/none", .cookies = 1};
    ouro_http_client *c = NULL;
    int rc = ouro_http_client_new(&opts, &c);
    check(rc == 0 || rc == -ENOMEM);
    if (rc < 0)
        return 0;
    came_to(ouro_http_post(c, nginx_url(n, "/echo", url), &o), 200);
    came_to(ouro_http_get(c, nginx_url(n, "/moved", url), NULL), 200);
    came_to(ouro_http_get(c, nginx_url(n, "/text", url), NULL), 200);
    snprintf(url, sizeof url, "http://localhost:%d/", nginx_port(n));
    came_to(ouro_http_get(c, url, NULL), 200);
    ouro_future *left = ouro_http_get(c, nginx_url(n, "/big", url), NULL);
    ouro_yield();
    ouro_http_client_free(c);
    came_to(left, -EBADF);
    return 0;
}

static int64_t scenario(void *arg)
{
    fail_at = *(unsigned *)((void **)arg)[1];
    requests(((void **)arg)[0]);
    fail_at = 0;
    return 0;
}

static void run_once(struct nginx *n, unsigned at)
{
    void *arg[] = {n, &at};
    asked = refused = 0;
    begin_kernel();
    check_eq(run_main(scenario, arg), 0);
    end();
    ouro_resolve_flush();
    check_eq(blocks, 0);
}

Test(http_memory, that_is_short_anywhere_is_told_and_nothing_leaks)
{
    const ouro_allocator ration = {ration_alloc, ration_resize, ration_release, NULL};
    struct nginx *n = nginx_start(-1);
    unsigned at = 1;
    if (!n)
        cr_skip_test("nginx is not installed: package nginx-light");
    check_eq(ouro_set_allocator(&ration), 0);
    do
        run_once(n, at++);
    while (refused);
    check(at > 60);
    check_eq(ouro_set_allocator(NULL), 0);
    nginx_stop(n);
}
