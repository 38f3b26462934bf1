/* SPDX-License-Identifier: MIT */
/*
 * The signal stack; signal_stack.h says whose it is.
 *
 * Mapped for the first who holds it and unmapped by the last to let go, unless somebody has changed
 * the thread's signal stack meanwhile: then both stay as they are.
 */
#include "signal_stack.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

#define SIZE ((size_t)64 << 10)

static _Thread_local unsigned holders;
static _Thread_local void *ours; /* NULL: it is somebody else's */

static void *current(void)
{
    stack_t now;
    return sigaltstack(NULL, &now) < 0 || (now.ss_flags & SS_DISABLE) ? NULL : now.ss_sp;
}

bool ouro__signal_stack_hold(void)
{
    if (holders == 0 && !current()) {
        void *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            return false;
        sigaltstack(&(stack_t){.ss_sp = map, .ss_size = SIZE}, NULL);
        ours = map;
    }
    holders++;
    return true;
}

void ouro__signal_stack_let_go(void)
{
    if (--holders > 0 || !ours)
        return;
    if (current() == ours) {
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
        munmap(ours, SIZE);
    }
    ours = NULL;
}
