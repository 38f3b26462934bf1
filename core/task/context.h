/* SPDX-License-Identifier: MIT */
#ifndef OURO_CONTEXT_H
#define OURO_CONTEXT_H

/*
 * Where a flow of control stopped, and how to go on there: the switch between stacks.
 *
 * On x86-64 and aarch64 the switch is a few instructions (context_*.S) that save what the calling
 * convention wants saved; elsewhere it is ucontext(3), which also saves the signal mask and costs
 * two system calls. AddressSanitizer and ThreadSanitizer are told of each switch.
 */

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#    define OURO__ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define OURO__ASAN 1
#    endif
#endif
#if defined(__SANITIZE_THREAD__)
#    define OURO__TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define OURO__TSAN 1
#    endif
#endif
#ifndef OURO__ASAN
#    define OURO__ASAN 0
#endif
#ifndef OURO__TSAN
#    define OURO__TSAN 0
#endif

#if !defined(OURO__UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#    define OURO__UCONTEXT 1
#endif

#ifdef OURO__UCONTEXT
#    include <ucontext.h>
#endif

struct ouro__context {
#ifdef OURO__UCONTEXT
    ucontext_t registers;
#else
    void *sp; /* everything else is on the stack it points to */
#endif
#if OURO__ASAN
    void *fake_stack;
    const void *bottom;
    size_t size;
#endif
#if OURO__TSAN
    void *fiber;
#endif
};

/* Prepare @context to call entry(arg) on the stack of @size bytes at @stack. entry() may not
 * return: it leaves by ouro__context_leave(). */
void ouro__context_make(struct ouro__context *context, void *stack, size_t size,
                        void (*entry)(void *), void *arg);

/* To be called first in entry(): completes the switch that got there. */
void ouro__context_arrive(void);

#ifndef OURO__UCONTEXT
/* context_*.S: save registers on this stack and its end in *from_sp, restore those at to_sp. */
void ouro__stack_switch(void **from_sp, void *to_sp);
#endif

/* Stop here, go on there. Returns when somebody switches back to @from. */
#if defined(OURO__UCONTEXT) || OURO__ASAN || OURO__TSAN
void ouro__context_switch(struct ouro__context *from, struct ouro__context *to);
#else
static inline void ouro__context_switch(struct ouro__context *from, struct ouro__context *to)
{
    ouro__stack_switch(&from->sp, to->sp);
}
#endif

/* Go on there for good. */
_Noreturn void ouro__context_leave(struct ouro__context *from, struct ouro__context *to);

/* After leave, or for a context that was made and never entered. */
void ouro__context_drop(struct ouro__context *context);

#endif
