/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCPOOL_INT_H
#define OURO_PROCPOOL_INT_H

/*
 * Processes that work for a pool, and what they say to each other.
 *
 *     the program ---- control, one for each worker ----> zygote
 *          |                                                | forks, kills, reaps
 *          +------------ socket: job, answer ----------> worker
 *
 * The zygote is forked while the program has one thread and no loop, does nothing but look after
 * workers, and is the parent of them all: so none is ever signalled by the number of another, each
 * one's end is known, and a replacement is forked from a process that has no threads either. An
 * order on a control socket concerns the one worker that the socket stands for; the zygote answers
 * with that worker's successor, whose socket comes along as a descriptor.
 */

#include <ouro/procpool.h>

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define OURO__WORKERS_MAX 1024

/* What all processes of a pool are told when they are forked. */
struct ouro__worker_plan {
    void (*start)(void *arg);
    void *start_arg;
    size_t result_limit;
    char name[16];
};

/* What the zygote is asked to do with a worker; one byte on its control socket. */
enum ouro__order {
    OURO__ORDER_STOP = 's',  /* ask its job to stop: SIGTERM. No answer */
    OURO__ORDER_RENEW = 'r', /* kill it, if it lives, and fork another. Answered by the next */
};

/* The worker has ended. With a descriptor: the socket of the next one. */
struct ouro__renewal {
    int32_t status; /* of waitpid(2); of the first worker 0 */
    int32_t error;  /* negative errno: there is no next one */
    int32_t pid;    /* of the next one, for messages */
};

/* A job, followed by its input. */
struct ouro__request {
    ouro_procpool_fn *fn; /* at the same address in every process, since they are forks */
    uint64_t size;
};

#define OURO__ANSWER_MAGIC UINT64_C(0x6f75726f2077726b)

/* What a job came to, followed by its result. Read with suspicion: jobs may have written
 * anywhere. */
struct ouro__answer {
    uint64_t magic;
    int64_t value;
    uint64_t size;
};

/* In a worker: its job was asked to stop. ouro_job_cancelled() reads it. */
extern volatile sig_atomic_t ouro__worker_asked;

/* Be the zygote of a pool until the process @parent, a pidfd, has ended or one of @controls is shut
 * down. All signals are blocked. */
_Noreturn void ouro__zygote_run(const struct ouro__worker_plan *plan, int parent,
                                const int *controls, int count);

/* Be a worker: take jobs from @socket until it is closed, or @zygote ends. */
_Noreturn void ouro__worker_run(const struct ouro__worker_plan *plan, int socket, pid_t zygote);

/* Close every descriptor above standard error but the @count in @keep, which are sorted. */
void ouro__close_others(const int *keep, int count);

/* What a system call has returned, a descriptor or -1, moved out of the way of standard streams,
 * which the program may have closed: workers must not take it for one. The descriptor or -errno. */
int ouro__lift(int fd);

/* Two connected sockets, close-on-exec and lifted. 0 or -errno. */
int ouro__socket_pair(int type, int ends[2]);

#endif
