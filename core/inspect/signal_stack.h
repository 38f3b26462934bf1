/* SPDX-License-Identifier: MIT */
#ifndef OURO_SIGNAL_STACK_H
#define OURO_SIGNAL_STACK_H

#include <stdbool.h>

/*
 * A stack for signal handlers, of the calling thread: a task's own may be too small for one, or the
 * very thing that has overflowed. Held by the overflow message and by the watchdog, so that it is
 * counted. One that the program or a sanitizer has set up is used as it is.
 */

/* False when there is no memory. */
bool ouro__signal_stack_hold(void);
void ouro__signal_stack_let_go(void);

#endif
