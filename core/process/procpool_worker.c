/* SPDX-License-Identifier: MIT */
/*
 * What runs in a worker: a plain blocking loop that reads a job, runs it, writes what it came to.
 *
 * Happy path: read the request and its input, call the function, write the answer, again. The
 * worker ends with the program, which closes the socket, or with the zygote, whose death is a
 * signal. It never returns into the code it was forked from: it leaves by _exit(2), past handlers
 * and leak checks that are the program's.
 *
 * How it fails: what a job does wrong is that job's, and what kills the worker is seen by the
 * zygote. Input there is no memory for is read and thrown away, so that the next job is found where
 * it begins.
 */
#include "procpool_int.h"

#include "memory_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FIRST_CAPACITY 4096u

struct ouro_reply {
    unsigned char *data;
    size_t size;
    size_t capacity;
    size_t limit;
    int error; /* the first; the job fails with it */
};

volatile sig_atomic_t ouro__worker_asked;

static pid_t zygote_pid;

/* ---- The result ------------------------------------------------------------------------------ */

/* Room for @size bytes more. 0, -EMSGSIZE, -ENOMEM. */
static int make_room(ouro_reply *reply, size_t size)
{
    if (size > reply->limit - reply->size)
        return -EMSGSIZE;
    if (size <= reply->capacity - reply->size)
        return 0;
    size_t capacity = reply->capacity ? reply->capacity : FIRST_CAPACITY;
    while (capacity < reply->size + size)
        capacity = capacity <= reply->limit / 2 ? capacity * 2 : reply->limit;
    unsigned char *data = ouro__resize(reply->data, capacity);
    if (!data)
        return -ENOMEM;
    reply->data = data;
    reply->capacity = capacity;
    return 0;
}

int ouro_reply_write(ouro_reply *reply, const void *data, size_t size)
{
    if (!reply)
        return -EINVAL;
    int rc = data || size == 0 ? make_room(reply, size) : -EINVAL;
    if (rc == 0 && size > 0) {
        memcpy(reply->data + reply->size, data, size);
        reply->size += size;
    }
    if (rc < 0 && reply->error == 0)
        reply->error = rc;
    return rc;
}

/* ---- The socket ------------------------------------------------------------------------------ */

/* Without the program there is nothing to do and nobody to tell. */
static void read_all(int socket, void *into, size_t size)
{
    unsigned char *at = into;
    while (size > 0) {
        ssize_t n = recv(socket, at, size, MSG_WAITALL);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            _exit(0);
        }
    }
}

static void write_all(int socket, const void *from, size_t size)
{
    const unsigned char *at = from;
    while (size > 0) {
        ssize_t n = send(socket, at, size, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            _exit(0);
        }
    }
}

static void skip(int socket, uint64_t size)
{
    unsigned char nowhere[4096];
    while (size > 0) {
        size_t part = size < sizeof(nowhere) ? (size_t)size : sizeof(nowhere);
        read_all(socket, nowhere, part);
        size -= part;
    }
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static int64_t run(int socket, const struct ouro__request *request, ouro_reply *reply)
{
    void *input = ouro__alloc(request->size ? request->size : 1);
    if (!input) {
        skip(socket, request->size);
        return -ENOMEM;
    }
    read_all(socket, input, request->size);
    int64_t value = request->fn(input, request->size, reply);
    ouro__release(input);
    fflush(NULL); /* what it printed: the process may never come to an end that would */
    return reply->error ? reply->error : value;
}

static void serve(const struct ouro__worker_plan *plan, int socket)
{
    struct ouro__request request;
    ouro_reply reply = {.limit = plan->result_limit};
    read_all(socket, &request, sizeof(request));
    struct ouro__answer answer = {
        .magic = OURO__ANSWER_MAGIC,
        .value = run(socket, &request, &reply),
    };
    answer.size = answer.value < 0 ? 0 : reply.size;
    write_all(socket, &answer, sizeof(answer));
    write_all(socket, reply.data, answer.size);
    ouro__release(reply.data);
}

/* ---- The process ----------------------------------------------------------------------------- */

/* Only the zygote's request counts: a whole process group may be sent one, and how the program ends
 * is the program's affair. A system call that the job is in ends with EINTR. */
static void on_sigterm(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (info->si_pid == zygote_pid)
        ouro__worker_asked = 1;
}

static void set_signals(void)
{
    sigset_t none;
    struct sigaction asked = {.sa_sigaction = on_sigterm, .sa_flags = SA_SIGINFO};
    sigemptyset(&asked.sa_mask);
    sigaction(SIGTERM, &asked, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Die with the zygote, also if that has happened already. */
static void die_with_zygote(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != zygote_pid)
        _exit(0);
}

_Noreturn void ouro__worker_run(const struct ouro__worker_plan *plan, int socket, pid_t zygote)
{
    zygote_pid = zygote;
    die_with_zygote();
    ouro__close_others(&socket, 1);
    set_signals();
    if (plan->start) {
        plan->start(plan->start_arg);
        die_with_zygote(); /* dropping privileges makes the kernel forget it */
    }
    for (;;)
        serve(plan, socket);
}
