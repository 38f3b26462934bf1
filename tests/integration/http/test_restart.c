/* SPDX-License-Identifier: MIT */
/*
 * The sample static_server, restarted while it works: real processes, real sockets, and clients that
 * count what goes wrong.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(restart, .timeout = 110);

enum { BIG = 64 << 20, MOST_SOCKETS = 4, CLIENTS = 6 };

/* A folder with files, the program, and what it has said. */
struct site {
    char folder[64];
    char program[96];
    char log[96];
    size_t seen; /* of the log */
    pid_t pid;   /* of the process that serves */
    int port;
    char socket[96]; /* a unix socket's path, for those that listen there */
};

/* ---- The program ----------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    check(fd >= 0);
    check_eq(write(fd, text, strlen(text)), strlen(text));
    check_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void in_folder(const struct site *s, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", s->folder, name);
}

/* What the next restart executes: the sample, or a script. */
static void install(struct site *s, const char *script)
{
    unlink(s->program);
    if (script)
        write_file(s->program, script, 0755);
    else
        check_eq(symlink(OURO_STATIC_SERVER, s->program), 0);
}

static void build_site(struct site *s)
{
    char path[128];
    *s = (struct site){.folder = "/tmp/test_restart.XXXXXX"};
    check(mkdtemp(s->folder) != NULL);
    snprintf(s->program, sizeof s->program, "%s/program", s->folder);
    snprintf(s->log, sizeof s->log, "%s/log", s->folder);
    snprintf(s->socket, sizeof s->socket, "%s/socket", s->folder);
    in_folder(s, "index.html", path);
    write_file(path, "hello\n", 0644);
    in_folder(s, "big", path);
    write_file(path, "", 0644);
    check_eq(truncate(path, BIG), 0);
    install(s, NULL);
    check_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* who takes over is waited for here, too */
}

static void remove_site(const struct site *s)
{
    static const char *const names[] = {"index.html", "big", "program", "log", "socket"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        in_folder(s, names[i], path);
        unlink(path);
    }
    check_eq(rmdir(s->folder), 0);
}

/* In the child: what is to be inherited stands at 3 and up. */
static void give(const int *fds, int n)
{
    char text[16];
    int high[MOST_SOCKETS];
    for (int i = 0; i < n; i++)
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < n; i++)
        dup2(high[i], 3 + i);
    snprintf(text, sizeof text, "%d", n);
    setenv("LISTEN_FDS", text, 1);
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
}

static void start_at(struct site *s, const char *workers, const char *how, const char *where,
                     const int *fds, int n)
{
    s->pid = fork();
    check(s->pid >= 0);
    if (s->pid)
        return;
    int out = open("/dev/null", O_WRONLY), err = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (n)
        give(fds, n);
    execl(s->program, s->program, how, where, "--workers", workers, s->folder, (char *)NULL);
    _exit(127);
}

static void start(struct site *s, const char *workers, const char *port, const int *fds, int n)
{
    start_at(s, workers, "--port", port, fds, n);
}

static void start_at_path(struct site *s, const char *workers)
{
    char where[128];
    snprintf(where, sizeof where, "unix:%s", s->socket);
    start_at(s, workers, "--at", where, NULL, 0);
}

/* ---- What it says ---------------------------------------------------------------------------- */

/* Wait for a line that has @text and was not seen before; the line, valid until the next. */
static char *await_line(struct site *s, const char *text)
{
    static char log[65536];
    for (int tries = 0; tries < 4000; tries++, usleep(5000)) {
        FILE *fp = fopen(s->log, "r");
        size_t size = fp ? fread(log, 1, sizeof log - 1, fp) : 0;
        if (fp)
            fclose(fp);
        log[size] = '\0';
        char *at = size > s->seen ? strstr(log + s->seen, text) : NULL;
        char *end = at ? strchr(at, '\n') : NULL;
        if (!end)
            continue;
        s->seen = (size_t)(end + 1 - log);
        *end = '\0';
        while (at > log && at[-1] != '\n')
            at--;
        return at;
    }
    fprintf(stderr, "never said '%s', but: %s\n", text, log);
    bool said = false;
    check(said);
    return log;
}

static void await_serving(struct site *s)
{
    int pid;
    char *line = await_line(s, " at http://");
    check_eq(sscanf(line, "process %d", &pid), 1);
    check_eq(pid, s->pid);
    s->port = atoi(strrchr(line, ':') + 1);
}

/* Whoever takes over is the site's process now; the former one, which may still have to do, is
 * returned. */
static pid_t restart(struct site *s)
{
    int old, new;
    pid_t before = s->pid;
    check_eq(kill(s->pid, SIGUSR2), 0);
    char *line = await_line(s, "takes over");
    check_eq(sscanf(line, "process %d: process %d takes over", &old, &new), 2);
    check_eq(old, before);
    check(new != before);
    s->pid = new;
    return before;
}

static void check_ended(pid_t pid)
{
    int status = -1;
    check_eq(waitpid(pid, &status, 0), pid);
    check_eq(status, 0);
}

static void stop(struct site *s)
{
    check_eq(kill(s->pid, SIGTERM), 0);
    check_ended(s->pid);
    check_eq(waitpid(-1, NULL, WNOHANG), -1);
    check_eq(errno, ECHILD);
    remove_site(s);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static int dial_address(const void *a, socklen_t size)
{
    int fd = socket(((const struct sockaddr *)a)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 30};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, a, size) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return dial_address(&a, sizeof a);
}

static struct sockaddr_un address_of_path(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

static int dial_path(const char *path)
{
    struct sockaddr_un a = address_of_path(path);
    return dial_address(&a, sizeof a);
}

static int ask(int fd, const char *path, bool last)
{
    char text[256];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path,
                     last ? "Connection: close\r\n" : "");
    return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
}

/* The answer to "/", whole: 1; 0: the connection has ended, in order or by a reset, without a byte of
 * it; or an error, such as -EPIPE: it has ended in the middle. */
static int hear_hello(int fd, bool *ret_keep)
{
    char text[1024];
    size_t size = 0;
    for (;;) {
        ssize_t n = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (n < 0 && errno != ECONNRESET)
            return -errno;
        if (n <= 0)
            return size == 0 ? 0 : -EPIPE;
        size += (size_t)n;
        text[size] = '\0';
        if (strstr(text, "\r\n\r\nhello\n"))
            break;
    }
    *ret_keep = strcasestr(text, "Connection: close") == NULL;
    return strncmp(text, "HTTP/1.1 200 ", 13) == 0 ? 1 : -EBADMSG;
}

static int try_hello_on(int fd)
{
    bool keep;
    int rc = fd < 0 ? fd : ask(fd, "/", true);
    if (rc == 0)
        rc = hear_hello(fd, &keep);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int try_hello(int port)
{
    return try_hello_on(dial(port));
}

struct load {
    pthread_t threads[CLIENTS];
    int port;
    atomic_bool over;
    atomic_int answered;
    atomic_int connections;
    atomic_int closed; /* connections that were found closed before the next request */
    atomic_int again;  /* and that ended with a request under way, and no byte of an answer */
    atomic_int failed; /* and all that no client has to put up with */
    atomic_int error;  /* the last of these */
};

/* Several requests on a connection. The first must be answered. A later one meets a connection that
 * the server may close at any time; it may be asked again (RFC 9112, 9.3.1 and 9.6) since it can do no
 * harm twice, if not a byte of an answer has come. Whatever else goes wrong is a loss. */
static int visit(struct load *l, int requests)
{
    bool keep = true;
    int fd = dial(l->port);
    int rc = fd < 0 ? fd : 1;
    for (int i = 0; rc > 0 && keep && i < requests; i++) {
        char byte;
        if (i > 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            atomic_fetch_add(&l->closed, 1);
            break;
        }
        rc = ask(fd, "/", i == requests - 1);
        rc = rc == -EPIPE || rc == -ECONNRESET ? 0 : rc < 0 ? rc : hear_hello(fd, &keep);
        if (rc > 0)
            atomic_fetch_add(&l->answered, 1);
        if (rc == 0 && i > 0) {
            atomic_fetch_add(&l->again, 1);
            rc = 1;
            break;
        }
    }
    if (fd >= 0)
        close(fd);
    return rc > 0 ? 0 : rc == 0 ? -ENODATA : rc;
}

static void *visit_on(void *arg)
{
    struct load *l = arg;
    for (unsigned i = 0; !atomic_load(&l->over); i++) {
        int rc = visit(l, 1 + (int)(i % 3) * 4);
        atomic_fetch_add(&l->connections, 1);
        if (rc == 0)
            continue;
        atomic_fetch_add(&l->failed, 1);
        atomic_store(&l->error, rc);
    }
    return NULL;
}

static void begin_load(struct load *l, int port)
{
    *l = (struct load){.port = port};
    for (int i = 0; i < CLIENTS; i++)
        check_eq(pthread_create(&l->threads[i], NULL, visit_on, l), 0);
}

static void let_load_go_on(struct load *l, int connections)
{
    int before = atomic_load(&l->connections);
    for (int i = 0; i < 20000 && atomic_load(&l->connections) - before < connections; i++)
        usleep(1000);
    check(atomic_load(&l->connections) - before >= connections);
}

static void end_load(struct load *l)
{
    atomic_store(&l->over, true);
    for (int i = 0; i < CLIENTS; i++)
        check_eq(pthread_join(l->threads[i], NULL), 0);
    fprintf(stderr, "%d connections, %d answers, %d closed, %d asked again, %d failed\n",
            atomic_load(&l->connections), atomic_load(&l->answered), atomic_load(&l->closed),
            atomic_load(&l->again), atomic_load(&l->failed));
    check_eq(atomic_load(&l->error), 0);
    check_eq(atomic_load(&l->failed), 0);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* How many a process has; all but the standard three are closed in its children. */
static int count_fds(pid_t pid)
{
    char path[64], line[128];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)pid);
    DIR *dir = opendir(path);
    check(dir != NULL);
    for (struct dirent *e; (e = readdir(dir));) {
        unsigned flags = 0;
        if (e->d_name[0] == '.')
            continue;
        n++;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%.16s", (int)pid, e->d_name);
        FILE *fp = fopen(path, "r");
        while (fp && fgets(line, sizeof line, fp))
            if (sscanf(line, "flags: %o", &flags) == 1)
                break;
        if (fp)
            fclose(fp);
        check(!fp || atoi(e->d_name) <= 2 || (flags & O_CLOEXEC));
    }
    closedir(dir);
    return n;
}

/* The same, when no more are being opened or closed. */
static int settled_fds(pid_t pid)
{
    int n = -1;
    for (int same = 0; same < 40; usleep(5000)) {
        int now = count_fds(pid);
        same = now == n ? same + 1 : 0;
        n = now;
    }
    return n;
}

/* ---- Restarts -------------------------------------------------------------------------------- */

Test(restart, no_connection_is_lost_by_three_restarts_under_load)
{
    struct site s;
    struct load l;
    build_site(&s);
    start(&s, "2", "0", NULL, 0);
    await_serving(&s);
    check_eq(try_hello(s.port), 1);
    int fds = settled_fds(s.pid);
    begin_load(&l, s.port);
    let_load_go_on(&l, 300);
    for (int i = 0; i < 3; i++) {
        pid_t old = restart(&s);
        check_ended(old);
        let_load_go_on(&l, 300);
    }
    end_load(&l);
    check(atomic_load(&l.answered) > 900);
    check_eq(settled_fds(s.pid), fds);
    stop(&s);
}

/* An answer that is longer than all buffers on its way, and read only when all is over. */
Test(restart, who_is_being_answered_is_answered_to_the_end_by_the_old_process)
{
    static char bytes[65536];
    struct site s;
    int64_t size = 0;
    ssize_t n;
    build_site(&s);
    start(&s, "2", "0", NULL, 0);
    await_serving(&s);
    int fd = dial(s.port);
    bool keep;
    check_eq(ask(fd, "/", false), 0);
    check_eq(hear_hello(fd, &keep), 1);
    check(keep);
    check_eq(ask(fd, "/big", false), 0);
    check(recv(fd, bytes, 1, MSG_PEEK) == 1);
    pid_t old = restart(&s);
    for (int i = 0; i < 20; i++)
        check_eq(try_hello(s.port), 1);
    check_eq(waitpid(old, NULL, WNOHANG), 0); /* it has still to do */
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        size += n;
    check_eq(n, 0);
    check(size > BIG && size < BIG + 1024);
    close(fd);
    check_ended(old);
    stop(&s);
}

static void check_still_serves(const struct site *s)
{
    check_eq(try_hello(s->port), 1);
    check_eq(waitpid(s->pid, NULL, WNOHANG), 0);
}

Test(restart, a_new_image_that_does_not_start_changes_nothing)
{
    struct site s;
    build_site(&s);
    start(&s, "2", "0", NULL, 0);
    await_serving(&s);
    int fds = settled_fds(s.pid);
    install(&s, "#!/bin/sh\nexit 3\n");
    kill(s.pid, SIGUSR2);
    await_line(&s, "ended with status 3 before it was ready");
    check_still_serves(&s);
    check_eq(chmod(s.program, 0644), 0);
    kill(s.pid, SIGUSR2);
    await_line(&s, "no restart: cannot start");
    check_still_serves(&s);
    install(&s, "#!/nowhere\n");
    kill(s.pid, SIGUSR2);
    await_line(&s, "no restart: cannot start");
    check_still_serves(&s);
    check_eq(settled_fds(s.pid), fds);
    install(&s, NULL);
    check_ended(restart(&s));
    check_eq(try_hello(s.port), 1);
    stop(&s);
}

/* As packages do it: the file that runs is replaced, by name. */
Test(restart, a_program_that_was_replaced_is_the_new_one)
{
    struct site s;
    char command[512], path[64];
    struct stat new, runs;
    build_site(&s);
    start(&s, "1", "0", NULL, 0);
    await_serving(&s);
    snprintf(command, sizeof command, "cp '%s' %s/copy && mv %s/copy %s", OURO_STATIC_SERVER,
             s.folder, s.folder, s.program);
    for (int i = 0; i < 2; i++) {
        check_eq(system(command), 0);
        check_eq(stat(s.program, &new), 0);
        check_ended(restart(&s));
        snprintf(path, sizeof path, "/proc/%d/exe", (int)s.pid);
        check_eq(stat(path, &runs), 0);
        check_eq(runs.st_ino, new.st_ino);
        check_eq(try_hello(s.port), 1);
    }
    stop(&s);
}

/* The server was told to stop before the new process was ready: so is that. */
Test(restart, one_that_is_ready_when_the_server_has_stopped_is_ended)
{
    struct site s;
    char script[512];
    char byte;
    build_site(&s);
    start(&s, "1", "0", NULL, 0);
    await_serving(&s);
    int fd = dial(s.port);
    check_eq(ask(fd, "/big", true), 0);
    check(recv(fd, &byte, 1, MSG_PEEK) == 1); /* keeps the old one busy */
    snprintf(script, sizeof script,
             "#!/bin/sh\necho begun >&2\nuntil [ -e %s ]; do sleep 0.01; done\nexec %s \"$@\"\n",
             s.socket, OURO_STATIC_SERVER);
    install(&s, script);
    kill(s.pid, SIGUSR2);
    await_line(&s, "begun");
    check_eq(kill(s.pid, SIGTERM), 0);
    usleep(100000); /* so that it has stopped; if not, the new one would just take over */
    write_file(s.socket, "", 0600);
    await_line(&s, "no restart: the server stops");
    close(fd);
    check_ended(s.pid);
    int status;
    while (waitpid(-1, &status, 0) > 0) /* unless the old one has seen its end */
        check(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
    remove_site(&s);
}

/* ---- The path of a unix socket --------------------------------------------------------------- */

static ino_t inode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

Test(restart, a_path_is_there_until_the_last_one_in_a_chain_ends)
{
    struct site s;
    build_site(&s);
    start_at_path(&s, "2");
    await_line(&s, " at http://");
    ino_t inode = inode_of(s.socket);
    check(inode != 0);
    for (int i = 0; i < 3; i++) {
        check_eq(try_hello_on(dial_path(s.socket)), 1);
        check_eq(inode_of(s.socket), inode);
        if (i < 2)
            check_ended(restart(&s));
    }
    check_eq(kill(s.pid, SIGTERM), 0);
    check_ended(s.pid);
    check_eq(inode_of(s.socket), 0);
    remove_site(&s);
}

/* It has taken the socket, and then has no descriptors for its loops. */
Test(restart, a_path_stays_when_the_new_one_fails_with_the_socket_in_its_hands)
{
    struct site s;
    char script[256];
    build_site(&s);
    start_at_path(&s, "2");
    await_line(&s, " at http://");
    ino_t inode = inode_of(s.socket);
    snprintf(script, sizeof script, "#!/bin/sh\nulimit -n 6\nexec %s \"$@\"\n", OURO_STATIC_SERVER);
    install(&s, script);
    kill(s.pid, SIGUSR2);
    await_line(&s, "before it was ready");
    check_eq(inode_of(s.socket), inode);
    check_eq(try_hello_on(dial_path(s.socket)), 1);
    install(&s, NULL);
    check_ended(restart(&s));
    check_eq(try_hello_on(dial_path(s.socket)), 1);
    stop(&s);
}

Test(restart, a_path_that_is_another_s_by_then_is_left_alone)
{
    struct site s;
    build_site(&s);
    start_at_path(&s, "1");
    await_line(&s, " at http://");
    check_ended(restart(&s));
    check_eq(rename(s.log, s.socket), 0);
    ino_t inode = inode_of(s.socket);
    check_eq(kill(s.pid, SIGTERM), 0);
    check_ended(s.pid);
    check_eq(inode_of(s.socket), inode);
    remove_site(&s);
}

Test(restart, a_second_one_is_refused_while_one_is_under_way)
{
    struct site s;
    build_site(&s);
    start(&s, "1", "0", NULL, 0);
    await_serving(&s);
    install(&s, "#!/bin/sh\necho begun >&2\nexec sleep 1000\n");
    kill(s.pid, SIGUSR2);
    await_line(&s, "begun");
    settled_fds(s.pid); /* none is for other children */
    kill(s.pid, SIGUSR2);
    await_line(&s, "no restart: a restart is under way");
    check_still_serves(&s);
    check_eq(kill(s.pid, SIGTERM), 0); /* ends both */
    check_ended(s.pid);
    int status; /* of the new one, unless the old one has seen its end */
    while (waitpid(-1, &status, 0) > 0)
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    check_eq(errno, ECHILD);
    remove_site(&s);
}

/* ---- Sockets from outside -------------------------------------------------------------------- */

static int listen_somewhere(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    check_eq(listen(fd, 100), 0);
    check_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* Whatever the numbers of sockets and workers, every socket is served, before a restart and after.
 * Each client comes before there is a server that could accept him. */
static void serve_given(int sockets, const char *workers)
{
    struct site s;
    bool keep;
    char port[16];
    int fds[MOST_SOCKETS], ports[MOST_SOCKETS], early[MOST_SOCKETS];
    build_site(&s);
    for (int i = 0; i < sockets; i++) {
        fds[i] = listen_somewhere(&ports[i]);
        early[i] = dial(ports[i]);
        check_eq(ask(early[i], "/", true), 0);
    }
    snprintf(port, sizeof port, "%d", ports[0]); /* is taken: only given it can be had */
    start(&s, workers, port, fds, sockets);
    await_serving(&s);
    for (int i = 0; i < sockets; i++) {
        check_eq(hear_hello(early[i], &keep), 1);
        close(early[i]);
        close(fds[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < sockets; i++)
            check_eq(try_hello(ports[i]), 1);
        if (round == 0)
            check_ended(restart(&s));
    }
    stop(&s);
    for (int i = 0; i < sockets; i++)
        check_eq(try_hello(ports[i]), -ECONNREFUSED);
}

Test(restart, given_sockets_are_served_one_by_each_worker)
{
    serve_given(2, "2");
}

Test(restart, workers_share_when_there_are_fewer_sockets)
{
    serve_given(1, "3");
}

Test(restart, workers_have_several_when_there_are_more_sockets)
{
    serve_given(3, "2");
}

Test(restart, what_was_given_to_another_process_is_left_alone)
{
    struct site s;
    int port, fd = listen_somewhere(&port);
    build_site(&s);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    setenv("OURO_READY", "0:1", 1);
    start(&s, "1", "0", NULL, 0);
    await_serving(&s);
    check(s.port != port);
    check_eq(try_hello(s.port), 1);
    close(fd);
    stop(&s);
}

/* As of a socket unit. */
Test(restart, a_path_from_outside_is_left_to_whoever_made_it)
{
    struct site s;
    build_site(&s);
    struct sockaddr_un a = address_of_path(s.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    check_eq(listen(fd, 100), 0);
    start(&s, "2", "0", &fd, 1);
    close(fd);
    await_line(&s, " at http://");
    ino_t inode = inode_of(s.socket);
    check_eq(try_hello_on(dial_path(s.socket)), 1);
    check_ended(restart(&s));
    check_eq(try_hello_on(dial_path(s.socket)), 1);
    check_eq(kill(s.pid, SIGTERM), 0);
    check_ended(s.pid);
    check_eq(inode_of(s.socket), inode);
    remove_site(&s);
}
