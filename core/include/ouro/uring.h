/* SPDX-License-Identifier: MIT */
#ifndef OURO_URING_H
#define OURO_URING_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file uring.h
 * Any io_uring operation as a future: the seam for operations this library does not wrap.
 *
 * Fill a struct io_uring_sqe, with liburing's io_uring_prep_*() or by hand, and hand it over:
 *
 *     struct io_uring_sqe sqe;
 *     io_uring_prep_read(&sqe, fd, buf, sizeof buf, 0);
 *     int64_t n = ouro_await(ouro_uring_op(&sqe, NULL));
 *
 * <liburing.h> is yours to include; this header needs only the name of the struct.
 */

struct io_uring_sqe;

/** One completion of an operation that has several. @p res and @p flags are those of the CQE. Runs
 *  on the loop. */
typedef void ouro_uring_cqe_fn(int32_t res, uint32_t flags, void *arg);

/** Options of ouro_uring_op(). Zero is the default of every field. */
typedef struct ouro_uring_options {
    ouro_uring_cqe_fn
        *on_cqe;      /**< called for every completion, in order, before the last settles the
                                    future: for multishot operations, and for flags such as the
                                    number of a provided buffer. Default: only the last counts */
    void *arg;        /**< passed to on_cqe. Borrowed until the future settles */
    int background;   /**< not 0: the loop does not run for its sake. It is cancelled when the loop
                                    is shut down. For what may come and nobody waits for */
    int result_is_fd; /**< not 0: n is a descriptor, closed if nobody takes it. Those of
                                    earlier completions are on_cqe's, and closed without one */
} ouro_uring_options;

OURO_BEGIN_DECLS

/**
 * Submit an operation.
 *
 * It is copied, queued, and goes to the kernel with the next turn of the loop. A full queue makes
 * it wait its turn; it is never refused. Cancelled while it waits, it never reaches the kernel.
 *
 * @param sqe   What to do; copied. user_data is overwritten. IOSQE_IO_LINK, IOSQE_IO_HARDLINK and
 *              IOSQE_CQE_SKIP_SUCCESS are refused: order by awaiting, and a skipped completion
 *              would never settle. Memory it points to is lent to the kernel until the future
 *              settles; cancelling does not give it back early.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL.   @owns the caller.
 *   - n >= 0       the CQE's res; of several completions the last one's (for zero-copy sends the
 *                  send's own, once the notification has come)
 *   - -ECANCELED   cancelled on request (OURO_CANCELLED); as an OURO_ERROR the kernel did it alone
 *   - -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (loop is closing), -EINVAL
 *   - other < 0    the CQE's res
 * @thread Loop thread only.
 */
ouro_future *ouro_uring_op(const struct io_uring_sqe *sqe,
                           const ouro_uring_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
