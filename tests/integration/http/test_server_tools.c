/* SPDX-License-Identifier: MIT */
/* Clients that others have written: curl, wrk, h2load. Those that are missing are skipped. */
#define _GNU_SOURCE
#include "server_test.h"

#include <ouro/process.h>

#include <fcntl.h>
#include <unistd.h>

static bool is_there(const char *tool)
{
    char command[128];
    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0;
}

/* What a shell command prints, while the loop goes on. */
static int64_t run(void *arg)
{
    char **command = arg;
    FILE *fp = popen(command[0], "r");
    size_t n = fread(command[1], 1, 65535, fp);
    command[1][n] = '\0';
    return pclose(fp);
}

static char *shell(const char *format, const char *argument)
{
    static char output[65536], text[1024];
    const char *mark = strstr(format, "@");
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(mark - format), format, argument, mark + 1);
    char *command[2] = {text, output};
    check_eq(ouro_await(ouro_offload(run, command)), 0);
    return output;
}

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "hello\n");
}

static int64_t naps(ouro_http_request *r, void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc < 0 ? rc : hello(r, arg);
}

static int64_t echo(ouro_http_request *r, void *arg)
{
    int64_t n;
    (void)arg;
    const void *body = ouro_await_ptr(ouro_http_body(r), &n);
    return n < 0 ? n : ouro_http_reply(r, 200, NULL, body, (size_t)n);
}

static int64_t came_to;

static int64_t waits_long(ouro_http_request *r, void *arg)
{
    (void)r;
    (void)arg;
    came_to = 1;
    came_to = ouro_await(ouro_sleep(OURO_SEC(20)));
    return came_to;
}

static void open_site(void)
{
    site_new(&(ouro_http_server_options){.body_max = 8 << 20, .requests_max = UINT64_MAX});
    site_route("GET", "/", hello);
    site_route("GET", "/nap", naps);
    site_route("POST", "/echo", echo);
    site_route("PUT", "/echo", echo);
    site_route("GET", "/long", waits_long);
    site_open(NULL);
}

KernelTest(tools, curl_is_served)
{
    if (!is_there("curl"))
        cr_skip_test("curl is missing");
    open_site();
    check_text(shell("curl -sS --fail http://@/", site.where), "hello\n");
    check_text(shell("U=http://@; curl -sS $U/ $U/nap $U/ -w '%{num_connects} '", site.where),
               "hello\n1 hello\n0 hello\n0 ");
    check_text(shell("curl -sSI http://@/ | head -1 | tr -d '\\r'", site.where),
               "HTTP/1.1 200 OK\n");
    check_text(shell("curl -sS -d a=b http://@/echo", site.where), "a=b");
    check_text(shell("curl -sS -0 -d old http://@/echo", site.where), "old");
    check_text(shell("head -c 3000000 /dev/zero | curl -sS -T - http://@/echo | wc -c", site.where),
               "3000000\n"); /* in chunks, with Expect */
    check_text(shell("curl -sS -o /dev/null -w '%{http_code}' http://@/none", site.where), "404");
    check_text(
        shell("curl -sS -o /dev/null -w '%{http_code}' --path-as-is http://@/../x", site.where),
        "400");
    came_to = 0;
    shell("curl -sS -m 0.3 http://@/long 2>/dev/null || :", site.where);
    for (int i = 0; i < 200 && came_to == 1; i++)
        pause_ms(5);
    check_eq(came_to, -ECANCELED);
    check_eq(site_stats().gone, 1);
    site_close();
    return 0;
}

KernelTest(tools, wrk_is_served_without_an_error)
{
    if (!is_there("wrk"))
        cr_skip_test("wrk is missing");
    open_site();
    const char *text = shell("wrk -t1 -c50 -d1s http://@/ 2>&1", site.where);
    check_has(text, "Requests/sec");
    check_hasnt(text, "Socket errors");
    check_hasnt(text, "Non-2xx");
    text = shell("wrk -t1 -c200 -d1s http://@/nap 2>&1", site.where);
    check_has(text, "Requests/sec");
    check_hasnt(text, "Socket errors");
    check_hasnt(text, "Non-2xx");
    check(site_stats().requests > 1000);
    site_close();
    return 0;
}

KernelTest(tools, h2load_is_served_without_an_error)
{
    if (!is_there("h2load"))
        cr_skip_test("h2load is missing");
    open_site();
    const char *text = shell("h2load --h1 -n5000 -c20 -m10 http://@/ 2>&1", site.where);
    check_has(text, "5000 succeeded, 0 failed, 0 errored, 0 timeout");
    text = shell("h2load --h1 -n2000 -c20 -m10 http://@/nap 2>&1", site.where);
    check_has(text, "2000 succeeded, 0 failed, 0 errored, 0 timeout");
    site_close();
    return 0;
}
