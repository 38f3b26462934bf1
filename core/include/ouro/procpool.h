/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCPOOL_H
#define OURO_PROCPOOL_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file procpool.h
 * Work for other processes: what may crash, leak or never end, and must not take the program with
 * it.
 *
 * The pool's workers are forked from the program as it is when the pool is made, and know every
 * function it has; jobs and results travel as bytes. A worker that dies fails the one job it had
 * and is replaced; a job that is cancelled, also by ouro_timeout(), is asked to stop and then
 * killed, and its worker replaced in either case.
 *
 * Make pools early: first thing in main(), before there are threads, and before there is a loop,
 * since a fork copies the forking thread alone, and locks that others hold stay locked in the copy.
 * It is checked. Replacements are forked by a process made at that time, so that threads do no harm
 * later. It is a child of the program as long as the pool lives, so a program with a pool must not
 * wait for all its children.
 *
 *     ouro_procpool *pool;
 *     if (ouro_procpool_new(4, NULL, &pool) < 0) ...
 *     int64_t rc = ouro_run(main_task, pool, NULL);       which submits jobs
 *     ouro_procpool_free(pool);
 */

/** A number of processes and a queue of jobs. */
typedef struct ouro_procpool ouro_procpool;

/** Where a job writes its result. */
typedef struct ouro_reply ouro_reply;

/** Bytes that a job wrote. */
typedef struct ouro_bytes {
    size_t size;         /**< how many */
    unsigned char *data; /**< the bytes, and a zero behind them */
} ouro_bytes;

/** A job: runs in a worker. @p input is its own copy. What it returns is the future's value. */
typedef int64_t ouro_procpool_fn(const void *input, size_t size, ouro_reply *reply);

/** Options of ouro_procpool_new(). Zero is the default of every field. */
typedef struct ouro_procpool_options {
    void (*start)(
        void *arg);      /**< called in each worker before its first job: to drop privileges, set
                                   limits, load what jobs need. Default: nothing */
    void *start_arg;     /**< passed to start */
    size_t result_limit; /**< of a result's bytes; a job that writes more fails with -EMSGSIZE.
                                   Default: 64 MiB */
    ouro_ns grace; /**< between asking a job to stop (ouro_job_cancelled() reads 1 then) and killing
                                   its worker. Default: 100 ms; OURO_FOREVER: never kill */
    const char *
        name; /**< of the processes, as ps(1) shows them, cut to 15 bytes. Default: "ouro-worker" */
} ouro_procpool_options;

OURO_BEGIN_DECLS

/**
 * Fork the workers.
 *
 * Descriptors other than standard input, output and error are closed in them. Signals have their
 * default actions, but SIGINT and SIGTERM are ignored: what is sent to a whole process group is the
 * parent's affair. They end when their parent does, however it ends, without running what exit(3)
 * would. What standard I/O has buffered is written first, and after each job what that has printed.
 *
 * @param workers   How many; 1 or more, at most 1024.
 * @param opts      Copied; NULL for defaults.
 * @param ret_pool  Receives it, yours until ouro_procpool_free().
 * @return 0, -EBUSY (the process has more than one thread, or this thread has a loop: make it
 *         earlier), -EINVAL, -ENOMEM, -EAGAIN (no more processes), -EMFILE (a worker takes two
 *         descriptors), -ENOENT (no /proc to count threads in), ... On failure nothing is written,
 *         nothing left.
 * @thread Any without a loop, while it is the only one.   @suspends Blocks until the workers are
 *         there.
 */
int ouro_procpool_new(int workers, const ouro_procpool_options *opts,
                      ouro_procpool **ret_pool) OURO_NODISCARD;

/**
 * Have a worker run a function.
 *
 * Jobs start in the order in which they were submitted. A pool is used by one loop at a time: the
 * one that has jobs in it. When the future of a job that cost its worker settles, the new worker is
 * there.
 *
 * @param pool   Borrowed; must outlive the future.
 * @param fn     In the program or a library that was loaded when the pool was made.
 * @param input  Lent until the future settles; NULL if @p size is 0.
 * @param size   Bytes of input.
 * @return A future, never NULL.   @owns the caller.
 *   - what @p fn returned, and an ouro_bytes in ptr, also if it wrote nothing; for
 *     ouro_await_ptr(), then ouro_bytes_free()
 *   - -OURO_ESIGNALED(s)  the worker was killed by signal s, or crashed with it: ouro_signal_of()
 *     tells s
 *   - -OURO_EWORKEREXIT   the worker exited without an answer
 *   - -ECANCELED   cancelled: before it ran, or it returned that when asked, or was killed; any
 *     other
 *                  answer to the request is the result
 *   - -EMSGSIZE    the result was beyond the limit
 *   - -EBADMSG     the worker wrote something else than an answer, and was killed
 *   - -EAGAIN, -EMFILE, ...   the worker had died before, and could not be replaced
 *   - -ENOMEM, -EINVAL, -EXDEV (another loop has jobs in the pool), -EPERM (no loop on this
 *     thread), -ECHILD, -ESHUTDOWN; -EPIPE: the process that forks workers is gone
 * @thread Loop thread only.
 */
ouro_future *ouro_procpool_submit(ouro_procpool *pool, ouro_procpool_fn *fn, const void *input,
                                  size_t size) OURO_NODISCARD;

/**
 * Append bytes to the result.
 *
 * @param reply  The job's.
 * @param data   Copied.
 * @param size   Bytes.
 * @return 0, -ENOMEM, -EMSGSIZE (beyond the limit), -EINVAL (NULL); then the job fails with it.
 * @thread In a job.
 */
int ouro_reply_write(ouro_reply *reply, const void *data, size_t size);

/**
 * Destroy a result.
 *
 * @param bytes  An ouro_bytes, consumed; NULL is allowed.   @thread Any.
 */
void ouro_bytes_free(void *bytes);

/**
 * How many workers have been replaced so far.
 *
 * @param pool  Borrowed.
 * @return The number; -EINVAL (NULL).   @thread Loop thread only, or any while no loop uses it.
 */
int64_t ouro_procpool_replaced(const ouro_procpool *pool);

/**
 * End the workers: those that have a job are killed.
 *
 * @param pool  Consumed, with no job in it; NULL is allowed.
 * @return 0, -EBUSY (a loop has jobs in it: nothing has changed), -ECHILD.
 * @thread Any.   @suspends Blocks until the processes have ended, which is soon.
 */
int ouro_procpool_free(ouro_procpool *pool);

OURO_END_DECLS

#endif
