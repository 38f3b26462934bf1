/* SPDX-License-Identifier: MIT */
/*
 * SIGINT for a whole program, of one loop or several.
 *
 * It is ours only while a program runs that has claimed it, and only if nobody else had. The first
 * is noted and wakes every loop of the program, each of which cancels its main task, so that
 * everything unwinds and cleans up; the second is for a program that does not, and does what the
 * default does. The handler touches atomics and wakes loops; it may run on any thread.
 */
#include "run_int.h"

#include <sched.h>
#include <signal.h>

static _Atomic(const struct ouro__interruptible *) owner; /* NULL: nobody */
static atomic_uint interrupts;
static atomic_uint handlers; /* running right now */

static void on_sigint(int signal)
{
    int saved = errno;
    atomic_fetch_add(&handlers, 1);
    const struct ouro__interruptible *who = atomic_load(&owner);
    if (who && atomic_fetch_add(&interrupts, 1) == 0) {
        for (int i = 0; i < who->n; i++)
            ouro_loop_wake(who->loops[i]);
    } else {
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        raise(signal);
    }
    atomic_fetch_sub(&handlers, 1);
    errno = saved;
}

bool ouro__sigint_claim(const struct ouro__interruptible *who)
{
    struct sigaction now;
    const struct ouro__interruptible *nobody = NULL;
    if (sigaction(SIGINT, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO) ||
        now.sa_handler != SIG_DFL)
        return false;
    if (!atomic_compare_exchange_strong(&owner, &nobody, who))
        return false;
    atomic_store(&interrupts, 0);
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    return true;
}

/* Wait for a handler that another thread may be in: it has the loops. */
void ouro__sigint_disclaim(void)
{
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    atomic_store(&owner, NULL);
    while (atomic_load(&handlers))
        sched_yield();
}

bool ouro__sigint_came(void)
{
    return atomic_load(&interrupts);
}

/* Other threads, and what they were in, are the parent's. */
void ouro__sigint_in_child(void)
{
    atomic_store(&handlers, 0);
    if (atomic_exchange(&owner, NULL))
        sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}
