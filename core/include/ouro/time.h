/* SPDX-License-Identifier: MIT */
#ifndef OURO_TIME_H
#define OURO_TIME_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file time.h
 * The clock, and waiting for it. Deadlines are never met early; equal deadlines fire in the order
 * in which they were set.
 */

OURO_BEGIN_DECLS

/**
 * Read the loop's clock now (monotonic, not stopped by work: a fresh reading each time).
 *
 * @return Nanoseconds since an arbitrary start; 0 when this thread has no loop.
 * @thread Loop thread only.
 */
ouro_ns ouro_now(void);

/**
 * A future that settles with 0 after @p delay.
 *
 * @param delay  Nanoseconds from now. 0 settles in the next turn, never inside this call. A sum
 *               beyond the clock, and OURO_FOREVER, never settle but by ouro_cancel().
 * @return A future, never NULL.   @owns the caller: await, combine or detach it.
 *   - 0            the time has passed
 *   - -ECANCELED   cancelled; takes effect at once
 *   - -ENOMEM, -EPERM (no loop on this thread), -ECHILD (forked), -ESHUTDOWN (loop is closing)
 * @thread Loop thread only.   @suspends No; awaiting the result does.
 */
ouro_future *ouro_sleep(ouro_ns delay) OURO_NODISCARD;

/**
 * A future that settles with 0 once the clock reads @p when. Else as ouro_sleep().
 *
 * @param when  A point of ouro_now()'s clock; one that has passed settles in the next turn.
 * @return See ouro_sleep().   @thread Loop thread only.
 */
ouro_future *ouro_sleep_until(ouro_ns when) OURO_NODISCARD;

OURO_END_DECLS

#endif
