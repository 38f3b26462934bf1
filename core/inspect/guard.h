/* SPDX-License-Identifier: MIT */
#ifndef OURO_GUARD_H
#define OURO_GUARD_H

/*
 * Debug mode: say which task it was that ran into the guard page of its stack.
 *
 * A fault there is handled on a signal stack of its own: one line goes to standard error, the
 * handler of before is put back, and the instruction faults again, so that the process ends as it
 * would have.
 */

/* For the calling thread and its loop. */
void ouro__guard_install(void);
void ouro__guard_remove(void);

#endif
