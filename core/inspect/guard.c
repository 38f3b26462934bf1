/* SPDX-License-Identifier: MIT */
/*
 * The overflow message; guard.h says what it does.
 *
 * The handler is the process's, installed by the first loop in debug mode and removed with the
 * last; the signal stack is the thread's. It uses only what a signal handler may. Where a sanitizer
 * or the program has its own way with SIGSEGV, that way still gets the fault.
 */
#include "guard.h"

#include "loop_int.h"
#include "signal_stack.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction before;
static _Thread_local bool installed;

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* The running task whose guard page @address is in, or NULL. */
static const struct ouro__task *overflowed(const char *address)
{
    const ouro_loop *loop = ouro__this_loop;
    if (!loop || !loop->task || !loop->task->stack)
        return NULL;
    const char *guard = loop->task->stack->map;
    return address >= guard && address < guard + loop->stacks.page ? loop->task : NULL;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    const struct ouro__task *task = overflowed(info->si_addr);
    if (task) {
        say("ouro: task '");
        say(task->name);
        say("' overflowed its stack; give it a larger stack_size\n");
    }
    sigaction(signal, &before, NULL);
}

void ouro__guard_install(void)
{
    if (OURO__ASAN || OURO__TSAN || installed || !ouro__signal_stack_hold())
        return;
    installed = true;
    pthread_mutex_lock(&lock);
    if (users++ == 0) {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, &action, &before);
    }
    pthread_mutex_unlock(&lock);
}

void ouro__guard_remove(void)
{
    if (!installed)
        return;
    pthread_mutex_lock(&lock);
    if (--users == 0)
        sigaction(SIGSEGV, &before, NULL);
    pthread_mutex_unlock(&lock);
    ouro__signal_stack_let_go();
    installed = false;
}
