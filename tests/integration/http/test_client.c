/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client where all goes well: requests as they are sent, answers as they come, connections
 * that are used again, redirects, bodies both ways.
 */
#define _GNU_SOURCE
#include "http_test.h"
#include "nginx.h"

#define OK(body_and_length) "HTTP/1.1 200 OK\r\n" body_and_length

static const struct script scripts[] = {
    {.path = "/plain", .bytes = OK("Content-Length: 2\r\nX-A: 1\r\nx-b:\r\nX-A: 2\r\n\r\nhi")},
    {.path = "/early",
     .bytes = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
              "HTTP/1.1 100 Continue\r\n\r\n" OK("Content-Length: 2\r\n\r\nhi")},
    {.path = "/chunks",
     .bytes = OK("Transfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")},
    {.path = "/none", .bytes = "HTTP/1.1 204 No Content\r\n\r\n"},
    {.path = "/until", .bytes = "HTTP/1.0 200 OK\r\n\r\nall of it", .then = CLOSE},
    {.path = "/404", .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n"},
    {.path = "/301", .bytes = "HTTP/1.1 301 X\r\nLocation: /end\r\nContent-Length: 1\r\n\r\nx"},
    {.path = "/302", .bytes = "HTTP/1.1 302 X\r\nLocation: end?a=b#c\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/303", .bytes = "HTTP/1.1 303 X\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/307", .bytes = "HTTP/1.1 307 X\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/308", .bytes = "HTTP/1.1 308 X\r\nLocation: /307\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/loop", .bytes = "HTTP/1.1 302 X\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/ftp",
     .bytes = "HTTP/1.1 302 X\r\nLocation: ftp://127.0.0.1/\r\n"
              "Content-Length: 0\r\n\r\n"},
    {.path = "/file",
     .bytes = "HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n"
              "Content-Length: 0\r\n\r\n"},
    {.path = "/nowhere", .bytes = "HTTP/1.1 302 X\r\nContent-Length: 4\r\n\r\nhmm\n"},
    {.path = "/heavy",
     .bytes = "HTTP/1.1 302 X\r\nLocation: /end\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxx",
     .then = STALL},
    {.path = "/cookie", .bytes = OK("Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")},
    {0}};

/* ---- Answers --------------------------------------------------------------------------------- */

KernelTest(http_client, gives_an_answer_with_all_its_parts)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    const char *url = wild_url(w, "/plain");
    ouro_http_response *r = answer(ouro_http_get(c, url, NULL));
    check_eq(r->status, 200);
    check_text(r->url, url);
    check_text(r->type, "");
    check_text(r->body, "hi");
    check_eq(r->size, 2);
    check_eq(r->header_count, 4);
    check_text(r->headers[1].name, "X-A");
    check_text(r->headers[1].value, "1");
    check_text(r->headers[3].value, "2");
    check_text(ouro_http_response_header(r, "x-a"), "1");
    check_text(ouro_http_response_header(r, "X-B"), "");
    check(ouro_http_response_header(r, "X-C") == NULL);
    check_eq(r->redirects, 0);
    check_eq(r->reused, 0);
    check_eq(r->version, 11);
    check(r->timings.connected > 0 && r->timings.first_byte >= r->timings.connected);
    check(r->timings.total >= r->timings.first_byte && r->timings.encrypted == 0);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, leaves_out_what_came_before_and_after_the_header)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/early"), NULL));
    check_eq(r->status, 200);
    check_eq(r->header_count, 1);
    check_text(r->body, "hi");
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, wild_url(w, "/chunks"), NULL));
    check_text(r->body, "abcde");
    check_eq(r->header_count, 1);
    check_eq(r->reused, 1);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, takes_every_status_for_an_answer)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/404"), NULL)), 404);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/none"), NULL)), 204);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/nowhere"), NULL)), 302);
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/until"), NULL));
    check_text(r->body, "all of it");
    check_eq(r->version, 10);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

KernelTest(http_client, sends_header_fields)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    const ouro_http_field fields[] = {{"X-Test", "a b"}, {"X-Empty", ""}, {"x-blank", "  \t"}};
    ouro_http_options o = {.headers = fields, .header_count = 3};
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/x"), &o));
    check(says(r, "GET /x HTTP/1.1\r\n"));
    check(says(r, "\r\nX-Test: a b\r\n"));
    check(says(r, "\r\nX-Empty:\r\n"));
    check(says(r, "\r\nx-blank:\r\n"));
    check(says(r, "\r\nUser-Agent: ouro/" OURO_VERSION_STRING "\r\n"));
    check(says(r, "\r\nAccept-Encoding: "));
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, wild_url(w, "/y"), NULL)); /* on the same handle */
    check(!says(r, "X-Test"));
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    c = client_with((ouro_http_client_options){.user_agent = "me"});
    r = answer(ouro_http_get(c, wild_url(w, "/x"), NULL));
    check(says(r, "\r\nUser-Agent: me\r\n"));
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, encodes_the_query)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    const ouro_http_field fields[] = {{"a b", "c&d=e"}, {"x", "\xc3\xa4/~"}};
    ouro_http_options o = {.query = fields, .query_count = 2};
    static const char *const cases[][2] = {
        {"/p", "/p?a%20b=c%26d%3De&x=%C3%A4%2F~ "},
        {"/p?q=1", "/p?q=1&a%20b="},
        {"/p?", "/p?a%20b="},
        {"/p#part", "/p?a%20b="},
        {"", "/?a%20b="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, cases[i][0]), &o));
        if (!says(r, cases[i][1]))
            cr_assert_fail("%s: %s", cases[i][0], r->body);
        ouro_http_response_free(r);
    }
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

static void check_request(struct wild *w, ouro_future *f, const char *line, const char *type,
                          const char *length, const char *body)
{
    char text[128];
    ouro_http_response *r = answer(f);
    if (strncmp(w->last, line, strlen(line)) != 0)
        cr_assert_fail("not %s: %s", line, w->last);
    snprintf(text, sizeof text, "\r\nContent-Type: %s\r\n", type ? type : "");
    check_eq(strstr(w->last, type ? text : "Content-Type") != NULL, type != NULL);
    snprintf(text, sizeof text, "\r\nContent-Length: %s\r\n", length ? length : "");
    if ((strstr(w->last, length ? text : "Content-Length") != NULL) != (length != NULL))
        cr_assert_fail("the length of %s", w->last);
    check(!strstr(w->last, "Expect"));
    check_text(w->body, body);
    ouro_http_response_free(r);
}

KernelTest(http_client, sends_bodies)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    const ouro_http_field form[] = {{"a", "1 2"}, {"b", "&"}};
    const char *url = wild_url(w, "/p");
    ouro_http_options of_form = {.form = form, .form_count = 2}, of_json = {.json = "{}"};
    ouro_http_options of_data = {.data = "abc", .size = 3};
    ouro_http_options typed = {.data = "abc", .size = 3, .type = "text/plain"};
    check_request(w, ouro_http_post(c, url, &of_form), "POST /p",
                  "application/x-www-form-urlencoded", "13", "a=1%202&b=%26");
    check_request(w, ouro_http_post(c, url, &of_json), "POST /p", "application/json", "2", "{}");
    check_request(w, ouro_http_fetch(c, "PUT", url, &of_data), "PUT /p", "application/octet-stream",
                  "3", "abc");
    check_request(w, ouro_http_fetch(c, "GET", url, &typed), "GET /p", "text/plain", "3", "abc");
    check_request(w, ouro_http_post(c, url, NULL), "POST /p", NULL, "0", "");
    check_request(w, ouro_http_fetch(c, "PATCH", url, NULL), "PATCH /p", NULL, "0", "");
    check_request(w, ouro_http_fetch(c, "DELETE", url, NULL), "DELETE /p", NULL, NULL, "");
    check_request(w, ouro_http_fetch(c, "HEAD", url, NULL), "HEAD /p", NULL, NULL, "");
    check_request(w, ouro_http_get(c, url, NULL), "GET /p", NULL, NULL, "");
    check_eq(w->connections, 1);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Connections ----------------------------------------------------------------------------- */

KernelTest(http_client, uses_connections_again_and_counts)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    for (int i = 0; i < 10; i++) {
        ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/"), NULL));
        check_eq(r->reused, i > 0);
        check_eq(r->timings.connected > 0, i == 0);
        ouro_http_response_free(r);
    }
    check_eq(w->connections, 1);
    ouro_http_client_stats s = stats_of(c);
    check_eq(s.requests, 10);
    check_eq(s.connections, 1);
    check_eq(s.reused, 9);
    check_eq(s.failed, 0);
    check_eq(s.under_way, 0);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

static void many(ouro_http_client *c, const char *url, size_t n)
{
    ouro_future **f = calloc(n, sizeof(ouro_future *));
    ouro_result *results = calloc(n, sizeof *results);
    for (size_t i = 0; i < n; i++)
        f[i] = ouro_http_get(c, url, NULL);
    check_eq(stats_of(c).under_way, (int64_t)n);
    check_eq(ouro_await(ouro_gather(f, n, OURO_GATHER_ALL, results)), 0);
    for (size_t i = 0; i < n; i++) {
        check_eq(results[i].n, 200);
        ouro_http_response_free(results[i].ptr);
    }
    check_eq(stats_of(c).under_way, 0);
    free(f);
    free(results);
}

KernelTest(http_client, makes_a_hundred_requests_at_once)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    for (int i = 0; i < 3; i++)
        many(c, wild_url(w, "/"), 100);
    check_eq(w->requests, 300);
    check_eq(w->connections, 100);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, keeps_to_its_limits)
{
    struct wild *w = wild_start(NULL), *other = wild_start(NULL);
    ouro_http_client *c = client_with((ouro_http_client_options){.host_max = 3, .keep_max = 1});
    w->delay = other->delay = OURO_MS(1);
    many(c, wild_url(w, "/"), 30);
    check_eq(w->peak, 3);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(w->live, 1);
    ouro_http_client_free(c);

    c = client_with((ouro_http_client_options){.total_max = 2});
    ouro_future *f[20];
    for (int i = 0; i < 20; i++)
        f[i] = ouro_http_get(c, wild_url(i < 10 ? w : other, "/"), NULL);
    w->peak = other->peak = w->live;
    check_eq(ouro_await(ouro_gather(f, 20, OURO_GATHER_ALL, NULL)), 0);
    check(w->peak <= 3 && other->peak <= 2);
    ouro_http_client_free(c);
    wild_stop(w);
    wild_stop(other);
    return 0;
}

/* Nothing waits for the client, though it has a connection. */
static int64_t one_request(void *arg)
{
    void **of = arg;
    ouro_http_response_free(answer(ouro_http_get(of[0], of[1], NULL)));
    return 0;
}

Test(http_client, that_is_idle_keeps_no_loop_running)
{
    struct nginx *n = nginx_start(-1);
    char url[256];
    if (!n)
        cr_skip_test("nginx is not installed");
    begin_kernel();
    ouro_http_client *c = client();
    void *of[] = {c, nginx_url(n, "/", url)};
    check_eq(run_main(one_request, of), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 0);
    ouro_http_client_free(c);
    end();
    nginx_stop(n);
}

/* ---- Redirects ------------------------------------------------------------------------------- */

static void check_hops(struct wild *w, ouro_future *f, const char *line, const char *body, int hops)
{
    ouro_http_response *r = answer(f);
    if (strncmp(w->last, line, strlen(line)) != 0)
        cr_assert_fail("not %s: %s", line, w->last);
    check_text(w->body, body);
    check_eq(r->redirects, hops);
    check_eq(r->status, 200);
    ouro_http_response_free(r);
}

KernelTest(http_client, follows_redirects_by_the_rules)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_options o = {.data = "abc", .size = 3};
    check_hops(w, ouro_http_get(c, wild_url(w, "/301"), NULL), "GET /end ", "", 1);
    check_hops(w, ouro_http_post(c, wild_url(w, "/301"), &o), "GET /end ", "", 1);
    check(!strstr(w->last, "Content-"));
    check_hops(w, ouro_http_post(c, wild_url(w, "/302"), &o), "GET /end?a=b ", "", 1);
    check_hops(w, ouro_http_post(c, wild_url(w, "/303"), &o), "GET /end ", "", 1);
    check_hops(w, ouro_http_fetch(c, "PUT", wild_url(w, "/303"), &o), "GET /end ", "", 1);
    check_hops(w, ouro_http_fetch(c, "PUT", wild_url(w, "/301"), &o), "PUT /end ", "abc", 1);
    check_hops(w, ouro_http_post(c, wild_url(w, "/307"), &o), "POST /end ", "abc", 1);
    check_hops(w, ouro_http_post(c, wild_url(w, "/308"), &o), "POST /end ", "abc", 2);
    check_hops(w, ouro_http_fetch(c, "HEAD", wild_url(w, "/303"), NULL), "HEAD /end ", "", 1);
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/302"), NULL));
    check_text(r->url, wild_url(w, "/end?a=b"));
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, follows_only_so_many_redirects_and_only_to_http)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_options none = {.redirects_max = -1}, one = {.redirects_max = 1};
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/loop"), NULL), "too many redirects"), -ELOOP);
    check_eq(w->requests, 11);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/308"), &one)), -ELOOP);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/301"), &one)), 200);
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/301"), &none));
    check_eq(r->status, 301);
    check_text(r->body, "x");
    ouro_http_response_free(r);
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/ftp"), NULL), "neither http nor https"),
             -EPROTONOSUPPORT);
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/file"), NULL), "GET file:///etc"),
             -EPROTONOSUPPORT);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, tells_no_secrets_to_whom_it_is_redirected)
{
    struct wild *other = wild_start(NULL);
    char there[256];
    snprintf(there, sizeof there, "HTTP/1.1 307 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             wild_url(other, "/"));
    struct script away[] = {
        {.path = "/away", .bytes = there}, {.path = "/here", .bytes = scripts[9].bytes}, {0}};
    struct wild *w = wild_start(away);
    ouro_http_client *c = client();
    const ouro_http_field fields[] = {
        {"authorization", "Bearer x"}, {"Cookie", "a=b"}, {"Host", "me"}, {"Accept", "a/b"}};
    ouro_http_options o = {.headers = fields, .header_count = 4};
    check_hops(w, ouro_http_get(c, wild_url(w, "/here"), &o), "GET /end ", "", 1);
    check(strstr(w->last, "authorization: Bearer x") && strstr(w->last, "Cookie: a=b"));
    check_hops(other, ouro_http_get(c, wild_url(w, "/away"), &o), "GET / ", "", 1);
    check(strstr(other->last, "Accept: a/b") != NULL);
    check(!strcasestr(other->last, "authorization") && !strcasestr(other->last, "cookie"));
    check(!strstr(other->last, "Host: me"));

    char url[256]; /* nor those of the URL */
    snprintf(url, sizeof url, "http://user:secret@127.0.0.1:%d/away", w->port);
    check_hops(other, ouro_http_get(c, url, NULL), "GET / ", "", 1);
    check(strcasestr(w->last, "authorization: basic") != NULL);
    check(!strcasestr(other->last, "authorization"));
    ouro_http_client_free(c);
    wild_stop(w);
    wild_stop(other);
    return 0;
}

KernelTest(http_client, tells_another_origin_only_what_is_wanted_unless_asked_to)
{
    struct wild *other = wild_start(NULL);
    char there[256], back[512];
    snprintf(there, sizeof there, "HTTP/1.1 307 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             wild_url(other, "/"));
    struct script away[] = {{.path = "/away", .bytes = there}, {0}};
    struct wild *w = wild_start(away);
    snprintf(back, sizeof back, "HTTP/1.1 302 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             wild_url(w, "/end"));
    struct script returns[] = {{.path = "/back", .bytes = back}, {0}};
    other->scripts = returns;
    ouro_http_client *c = client();
    const ouro_http_field fields[] = {{"X-Api-Key", "k1"},     {"AUTHORIZATION", "k2"},
                                      {"X-Empty", ""},         {"Accept", "text/x"},
                                      {"User-Agent", "agent"}, {"Host", "me"},
                                      {"Content-Type", "a/b"}, {"Proxy-Authorization", "k3"}};
    ouro_http_options o = {.headers = fields, .header_count = 8, .data = "abc", .size = 3};
    check_hops(other, ouro_http_post(c, wild_url(w, "/away"), &o), "POST / ", "abc", 1);
    check(strstr(w->last, "X-Api-Key: k1") && strstr(w->last, "Host: me"));
    check(!strcasestr(other->last, "x-api-key") && !strcasestr(other->last, "authorization"));
    check(!strstr(other->last, "X-Empty") && !strstr(other->last, "Host: me"));
    check(strstr(other->last, "Accept: text/x") && strstr(other->last, "User-Agent: agent"));
    check(strstr(other->last, "Content-Type: a/b") && !strstr(other->last, "Expect"));

    o.headers_follow = 1;
    check_hops(other, ouro_http_post(c, wild_url(w, "/away"), &o), "POST / ", "abc", 1);
    check(strstr(other->last, "X-Api-Key: k1") && strstr(other->last, "AUTHORIZATION: k2"));
    check(strstr(other->last, "X-Empty:") && !strstr(other->last, "Host: me"));

    o = (ouro_http_options){.headers = fields, .header_count = 8}; /* nor when it leads back */
    check_hops(w, ouro_http_get(c, wild_url(other, "/back"), &o), "GET /end ", "", 1);
    check(!strstr(w->last, "X-Api-Key"));
    ouro_http_client_free(c);
    wild_stop(w);
    wild_stop(other);
    return 0;
}

static int add_to(const void *data, size_t size, int status, void *arg)
{
    char *text = arg;
    check_eq(status, 200);
    strncat(text, data, size);
    return 0;
}

KernelTest(http_client, gives_the_sink_nothing_of_a_redirect)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    char text[8192] = "";
    ouro_http_options o = {.sink = add_to, .arg = text};
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/301"), &o));
    check(strncmp(text, "GET /end ", 9) == 0);
    check_text(r->body, "");
    check_eq(r->size, 0);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, does_not_read_an_endless_body_of_a_redirect)
{
    static struct script heavy[] = {
        {.path = "/heavy",
         .bytes = "HTTP/1.1 302 X\r\nLocation: /end\r\nX: xxxxxxxxxx\r\n"
                  "Content-Length: 1000000000\r\n\r\nxxxxxxxxxxxxx",
         .times = 2000,
         .then = STALL},
        {0}};
    struct wild *w = wild_start(heavy);
    ouro_http_client *c = client();
    check_hops(w, ouro_http_get(c, wild_url(w, "/heavy"), NULL), "GET /end ", "", 1);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

struct source {
    int pieces;
    ouro_future *request; /* to be continued */
    bool pauses;
    int64_t error;
};

static void go_on(void *arg)
{
    struct source *x = arg;
    check_eq(ouro_http_request_continue(x->request), 0);
}

static int64_t give(void *buf, size_t size, void *arg)
{
    struct source *x = arg;
    check(size >= 4);
    if (x->error)
        return x->error;
    x->pauses = !x->pauses;
    if (x->pauses) {
        check_eq(ouro_call_later(OURO_MS(1), go_on, x, NULL, NULL), 0);
        return -EAGAIN;
    }
    if (x->pieces-- == 0)
        return 0;
    memcpy(buf, "abc,", 4);
    return 4;
}

KernelTest(http_client, sends_a_body_piece_by_piece)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    struct source x = {.pieces = 5};
    ouro_http_options o = {.source = give, .arg = &x, .type = "text/plain"};
    x.request = ouro_http_post(c, wild_url(w, "/x"), &o);
    ouro_http_response_free(answer(ouro_ref(x.request)));
    check_text(w->body, "abc,abc,abc,abc,abc,");
    check(strstr(w->last, "Transfer-Encoding: chunked") && strstr(w->last, "text/plain"));
    check_eq(ouro_http_request_continue(x.request), -EALREADY);
    ouro_unref(x.request);
    check_eq(ouro_http_request_continue(NULL), -EINVAL);
    ouro_future *f = ouro_sleep(OURO_SEC(1));
    check_eq(ouro_http_request_continue(f), -EINVAL);
    ouro_cancel(f);
    ouro_unref(f);

    x = (struct source){.pieces = 5};
    x.request = ouro_http_post(c, wild_url(w, "/307"), &o);
    check_eq(words_of(x.request, "cannot begin again"), -EIO);
    x = (struct source){.pieces = 5};
    x.request = ouro_http_post(c, wild_url(w, "/303"), &o);
    check_eq(ouro_await(x.request), 200);
    x = (struct source){.error = -EXFULL};
    check_eq(words_of(ouro_http_post(c, wild_url(w, "/x"), &o), "the source has failed"), -EXFULL);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

static int refuse(const void *data, size_t size, int status, void *arg)
{
    (void)data;
    (void)size;
    (void)status;
    (void)arg;
    return -EXFULL;
}

KernelTest(http_client, breaks_off_when_the_sink_fails)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_options o = {.sink = refuse};
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/chunks"), &o), "the sink has failed"),
             -EXFULL);
    check_eq(stats_of(c).failed, 1);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_client, keeps_no_more_than_body_max)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_options four = {.body_max = 4}, five = {.body_max = 5}, one = {.body_max = 1};
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/chunks"), &four), "body is too large"),
             -EMSGSIZE);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/chunks"), &five)), 200);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/plain"), &one)), -EMSGSIZE);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Cookies, proxies, names ----------------------------------------------------------------- */

KernelTest(http_client, keeps_cookies_if_it_is_told_to)
{
    struct wild *w = wild_start(scripts);
    for (int cookies = 0; cookies < 2; cookies++) {
        ouro_http_client *c = client_with((ouro_http_client_options){.cookies = cookies});
        check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/cookie"), NULL)), 200);
        ouro_future *two[] = {ouro_http_get(c, wild_url(w, "/1"), NULL),
                              ouro_http_get(c, wild_url(w, "/2"), NULL)};
        check_eq(ouro_await(ouro_gather(two, 2, OURO_GATHER_ALL, NULL)), 0);
        check_eq(strstr(w->last, "\r\nCookie: a=b\r\n") != NULL, cookies);
        ouro_http_client_free(c);
    }
    wild_stop(w);
    return 0;
}

static const char *proxy_url(const struct wild *w)
{
    static char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", w->port);
    return url;
}

KernelTest(http_client, goes_through_a_proxy_which_has_the_name_looked_up)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client_with((ouro_http_client_options){.proxy = proxy_url(w)});
    ouro_http_response *r = answer(ouro_http_get(c, "http://no.such.invalid/x", NULL));
    check(says(r, "GET http://no.such.invalid/x HTTP/1.1\r\n"));
    ouro_http_response_free(r);
    ouro_http_client_free(c);

    setenv("http_proxy", proxy_url(w), 1);
    setenv("no_proxy", "example.org, .invalid,10.0.0.0/8,127.0.0.1", 1);
    check_eq(ouro_http_client_new(NULL, &c), 0);
    r = answer(ouro_http_get(c, "http://no.such.example/x", NULL));
    check(says(r, "GET http://no.such.example/x "));
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, "http://xexample.org/", NULL));
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, wild_url(w, "/direct"), NULL));
    check(says(r, "GET /direct "));
    ouro_http_response_free(r);
    check_eq(ouro_await(ouro_http_get(c, "http://no.such.invalid/x", NULL)), -OURO_ENONAME);
    ouro_http_client_free(c);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    wild_stop(w);
    return 0;
}

KernelTest(http_client, looks_names_up_with_the_loop)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client_with(
        (ouro_http_client_options){.names = {.family = OURO_FAMILY_IP4}});
    char url[64];
    static const char *const names[] = {"localhost", "LocalHost", "127.0.0.1"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(url, sizeof url, "http://%s:%d/x", names[i], w->port);
        ouro_http_response *r = answer(ouro_http_get(c, url, NULL));
        check_eq(r->timings.resolved > 0, i < 2);
        check_text(r->url, url);
        ouro_http_response_free(r);
    }
    check_eq(words_of(ouro_http_get(c, "http://no.such.invalid/", NULL),
                      "GET http://no.such.invalid/: cannot resolve no.such.invalid"),
             -OURO_ENONAME);
    check_eq(ouro_await(ouro_http_get(c, "http://[::1]/", NULL)), -EAFNOSUPPORT);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- A server of somebody else's -------------------------------------------------------------- */

static int64_t with_nginx(void *arg)
{
    struct nginx *n = arg;
    ouro_http_client *c = client();
    char url[256];
    many(c, nginx_url(n, "/", url), 300);
    ouro_http_response *r = answer(ouro_http_get(c, nginx_url(n, "/moved", url), NULL));
    check_text(r->body, "hello\n");
    check_text(r->type, "text/plain");
    check_eq(r->redirects, 1);
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, nginx_url(n, "/big", url), NULL));
    check_eq(r->size, NGINX_BIG);
    check_eq(r->body[NGINX_BIG - 1], 'a' + (NGINX_BIG - 1) % 26);
    check_eq(r->body[NGINX_BIG], 0);
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, nginx_url(n, "/text", url), NULL));
    check_text(ouro_http_response_header(r, "Content-Encoding"), "gzip");
    check_eq(r->size, NGINX_TEXT);
    ouro_http_response_free(r);
    ouro_http_options small = {.body_max = NGINX_TEXT - 1};
    check_eq(ouro_await(ouro_http_get(c, nginx_url(n, "/text", url), &small)), -EMSGSIZE);
    ouro_http_client_free(c);
    return 0;
}

static char *tls_url(const struct nginx *n, const char *host, char *url)
{
    snprintf(url, 256, "https://%s:%d/", host, nginx_tls_port(n));
    return url;
}

static int64_t with_tls(void *arg)
{
    struct nginx *n = arg;
    char url[256];
    ouro_http_client *c = client();
    check_eq(words_of(ouro_http_get(c, tls_url(n, "localhost", url), NULL), "certificate"),
             -EKEYREJECTED);
    ouro_http_client_free(c);
    ouro_http_client_options o = {.ca_file = nginx_certificate(n)};
    o.names.family = OURO_FAMILY_IP4;
    c = client_with(o);
    ouro_http_response *r = answer(ouro_http_get(c, tls_url(n, "localhost", url), NULL));
    check_text(r->body, "hello\n");
    check_eq(r->version, 20);
    check(r->timings.encrypted >= r->timings.connected);
    ouro_http_response_free(r);
    many(c, url, 200);
    check_eq(stats_of(c).connections, 1);
    ouro_http_client_free(c);
    c = client_with(o);
    many(c, url, 100); /* none is there yet */
    check_eq(stats_of(c).connections, 1);
    ouro_http_client_free(c);
    c = client_with(o);
    snprintf(url, sizeof url, "https://localhost:%d/", nginx_tls_1_port(n));
    many(c, url, 50);                   /* all but the first waited for what it would speak */
    check(stats_of(c).connections > 1); /* how many depends on how fast they are */
    ouro_http_client_free(c);
    o.http1 = 1;
    c = client_with(o);
    many(c, url, 20);
    check_eq(stats_of(c).connections, 20);
    ouro_http_client_free(c);
    o.insecure = 1;
    o.ca_file = NULL;
    c = client_with(o);
    r = answer(ouro_http_get(c, tls_url(n, "127.0.0.1", url), NULL));
    check_eq(r->version, 11);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    return 0;
}

static void on_nginx(ouro_task_fn *fn, bool needs_tls)
{
    struct nginx *n = nginx_start(-1);
    if (!n)
        cr_skip_test("nginx is not installed: package nginx-light");
    if (!needs_tls || nginx_tls_port(n)) {
        begin_kernel();
        check_eq(run_main(fn, n), 0);
        end();
    }
    bool was_skipped = needs_tls && !nginx_tls_port(n);
    nginx_stop(n);
    if (was_skipped)
        cr_skip_test("openssl is not installed");
}

Test(http_client, gets_pages_from_nginx)
{
    on_nginx(with_nginx, false);
}

Test(http_client, speaks_tls_and_http_2)
{
    on_nginx(with_tls, true);
}

static int64_t with_downgrade(void *arg)
{
    struct nginx *n = arg;
    char url[256];
    ouro_http_client *c = client_with((ouro_http_client_options){.ca_file = nginx_certificate(n)});
    ouro_http_options any = {.downgrade = 1};
    snprintf(url, sizeof url, "https://localhost:%d/insecure", nginx_tls_port(n));
    check_eq(words_of(ouro_http_get(c, url, NULL), "redirected from https to http"), -EPERM);
    ouro_http_response *r = answer(ouro_http_get(c, url, &any));
    check_text(r->body, "hello\n");
    check(strncmp(r->url, "http://", 7) == 0);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    return 0;
}

Test(http_client, is_not_led_from_https_to_http_unless_asked_to)
{
    on_nginx(with_downgrade, true);
}
