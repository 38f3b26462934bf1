/* SPDX-License-Identifier: MIT */
/*
 * nginx in a folder of its own, as one process, killed at the end.
 */
#define _GNU_SOURCE
#include "nginx.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct nginx {
    pid_t pid;
    int port;
    int tls_port;
    int tls_1_port;
    char folder[64];
    char certificate[128];
};

static const char config[] =
    "%s daemon off; master_process off; error_log error.log; pid pid;\n"
    "events { worker_connections 2048; }\n"
    "http { access_log off; keepalive_requests 10000000; default_type text/plain;\n"
    "client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;\n"
    "scgi_temp_path t5;\n"
    "server { listen 127.0.0.1:%d backlog=1024;\n%s\n"
    "location = / { return 200 \"hello\\n\"; }\n"
    "location = /echo { return 200 \"$request_method $http_x_test $args\"; }\n"
    "location = /moved { return 302 /; }\n"
    "location = /insecure { return 302 http://127.0.0.1:%d/; }\n"
    "location = /cookie { add_header Set-Cookie taste=sweet; return 200 \"$http_cookie\"; }\n"
    "location = /text { gzip on; gzip_types text/plain; root .; }\n"
    "location / { root .; }\n"
    "} }\n";

static void fail(const char *what)
{
    perror(what);
    abort();
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        fail("no free port");
    close(fd);
    return ntohs(a.sin_port);
}

static int is_there(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int there = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return there;
}

static FILE *create(const struct nginx *n, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", n->folder, name);
    FILE *f = fopen(path, "w");
    if (!f)
        fail(path);
    return f;
}

static void write_text(const struct nginx *n, const char *name, int size)
{
    FILE *f = create(n, name);
    for (int i = 0; i < size; i++)
        fputc('a' + i % 26, f);
    fclose(f);
}

static void make_certificate(struct nginx *n)
{
    char command[512];
    snprintf(n->certificate, sizeof n->certificate, "%s/cert.pem", n->folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
             "-keyout %s/key.pem -out %s >/dev/null 2>&1",
             n->folder, n->certificate);
    if (system(command) == 0) {
        n->tls_port = free_port();
        n->tls_1_port = free_port();
    }
}

static void write_config(const struct nginx *n)
{
    char tls[256] = "";
    if (n->tls_port)
        snprintf(tls, sizeof tls,
                 "listen 127.0.0.1:%d ssl http2; listen 127.0.0.1:%d ssl; "
                 "ssl_certificate cert.pem; ssl_certificate_key key.pem;",
                 n->tls_port, n->tls_1_port);
    FILE *f = create(n, "nginx.conf");
    fprintf(f, config, getuid() == 0 ? "user root;" : "", n->port, tls, n->port);
    fclose(f);
    write_text(n, "big", NGINX_BIG);
    write_text(n, "text", NGINX_TEXT);
}

static void run(const struct nginx *n, const char *program, int cpu)
{
    char conf[128], folder[80];
    cpu_set_t set;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    snprintf(conf, sizeof conf, "%s/nginx.conf", n->folder);
    snprintf(folder, sizeof folder, "%s/", n->folder);
    if (!freopen("/dev/null", "w", stderr))
        _exit(1);
    execl(program, "nginx", "-c", conf, "-p", folder, (char *)NULL);
    _exit(1);
}

static const char *find(void)
{
    static const char *const places[] = {"/usr/sbin/nginx", "/usr/bin/nginx",
                                         "/usr/local/sbin/nginx"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

struct nginx *nginx_start(int cpu)
{
    const char *program = find();
    if (!program) {
        fprintf(stderr, "nginx is not installed: package nginx-light\n");
        return NULL;
    }
    struct nginx *n = calloc(1, sizeof *n);
    if (!n)
        fail("nginx");
    strcpy(n->folder, "/tmp/ouro_nginx_XXXXXX");
    if (!mkdtemp(n->folder))
        fail("mkdtemp");
    n->port = free_port();
    make_certificate(n);
    write_config(n);
    n->pid = fork();
    if (n->pid == 0)
        run(n, program, cpu);
    for (int i = 0; i < 500 && !is_there(n->port); i++) {
        if (i == 499 || waitpid(n->pid, NULL, WNOHANG) != 0)
            fail("nginx does not start");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return n;
}

int nginx_port(const struct nginx *n)
{
    return n->port;
}

int nginx_tls_port(const struct nginx *n)
{
    return n->tls_port;
}

int nginx_tls_1_port(const struct nginx *n)
{
    return n->tls_1_port;
}

const char *nginx_certificate(const struct nginx *n)
{
    return n->certificate;
}

char *nginx_url(const struct nginx *n, const char *path, char *buf)
{
    snprintf(buf, 256, "http://127.0.0.1:%d%s", n->port, path);
    return buf;
}

static int drop(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

void nginx_stop(struct nginx *n)
{
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
    nftw(n->folder, drop, 8, FTW_DEPTH | FTW_PHYS);
    free(n);
}
