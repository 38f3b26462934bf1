/* SPDX-License-Identifier: MIT */
/*
 * The switch between stacks, and what has to be told of it.
 *
 * A sanitizer follows one stack a thread unless it hears otherwise: AddressSanitizer wants the
 * bounds of the stack that comes next before the switch, and gives those of the one left behind
 * after it; ThreadSanitizer wants a fiber for each. Nothing here can fail.
 */
#include "context.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#if OURO__ASAN
#    include <sanitizer/common_interface_defs.h>
#endif
#if OURO__TSAN
#    include <sanitizer/tsan_interface.h>
#endif

/* ---- The bare switch ------------------------------------------------------------------------ */

#ifdef OURO__UCONTEXT

/* makecontext(3) passes ints; a pointer takes two of them. */
static void start(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);
    ((void (*)(void *))entry)((void *)arg);
    abort();
}

static void make(struct ouro__context *context, void *stack, size_t size, void (*entry)(void *),
                 void *arg)
{
    getcontext(&context->registers);
    context->registers.uc_stack.ss_sp = stack;
    context->registers.uc_stack.ss_size = size;
    context->registers.uc_link = NULL;
    uint64_t e = (uintptr_t)entry;
    uint64_t a = (uintptr_t)arg;
    makecontext(&context->registers, (void (*)(void))start, 4, (unsigned)(e >> 32), (unsigned)e,
                (unsigned)(a >> 32), (unsigned)a);
}

static inline void jump(struct ouro__context *from, struct ouro__context *to)
{
    swapcontext(&from->registers, &to->registers);
}

#else

/* context_*.S: the first return address of a new stack. */
void ouro__stack_start(void);

#    if defined(__x86_64__)
/* The frame that ouro__stack_switch() leaves, lowest address first. */
struct frame {
    uint32_t mxcsr;
    uint32_t fpu_control;
    void *r15, *r14, *r13, *r12, *rbx, *rbp;
    void (*return_address)(void);
    void *end[3]; /* ouro__stack_start() is entered with an aligned stack and no caller */
};

static void fill(struct frame *frame, void (*entry)(void *), void *arg)
{
    __asm__ volatile("stmxcsr %0" : "=m"(frame->mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(frame->fpu_control));
    frame->rbx = (void *)(uintptr_t)entry;
    frame->r12 = arg;
    frame->return_address = ouro__stack_start;
}
#    else
struct frame {
    uint64_t d[8];          /* d8 to d15 */
    void *x19, *x20, *x[8]; /* x21 to x28 */
    void *x29;              /* frame pointer: none, the end of the chain */
    void (*x30)(void);      /* return address */
};

static void fill(struct frame *frame, void (*entry)(void *), void *arg)
{
    frame->x19 = (void *)(uintptr_t)entry;
    frame->x20 = arg;
    frame->x30 = ouro__stack_start;
}
#    endif

static void make(struct ouro__context *context, void *stack, size_t size, void (*entry)(void *),
                 void *arg)
{
    uintptr_t top = (uintptr_t)stack + size;
    struct frame *frame = (struct frame *)((top - sizeof(*frame)) & ~(uintptr_t)15);
    *frame = (struct frame){0};
    fill(frame, entry, arg);
    context->sp = frame;
}

static inline void jump(struct ouro__context *from, struct ouro__context *to)
{
    ouro__stack_switch(&from->sp, to->sp);
}

#endif

/* ---- With the sanitizers told ---------------------------------------------------------------- */

#if OURO__ASAN
/* The context that is being left: its bounds become known on arrival. */
static _Thread_local struct ouro__context *leaving;
#endif

void ouro__context_make(struct ouro__context *context, void *stack, size_t size,
                        void (*entry)(void *), void *arg)
{
    assert(stack);
    *context = (struct ouro__context){0};
    make(context, stack, size, entry, arg);
#if OURO__ASAN
    context->bottom = stack;
    context->size = size;
#endif
#if OURO__TSAN
    context->fiber = __tsan_create_fiber(0);
#endif
}

void ouro__context_arrive(void)
{
#if OURO__ASAN
    __sanitizer_finish_switch_fiber(NULL, &leaving->bottom, &leaving->size);
#endif
}

#if defined(OURO__UCONTEXT) || OURO__ASAN || OURO__TSAN
void ouro__context_switch(struct ouro__context *from, struct ouro__context *to)
{
#    if OURO__ASAN
    leaving = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#    endif
#    if OURO__TSAN
    from->fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->fiber, 0);
#    endif
    jump(from, to);
#    if OURO__ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, &leaving->bottom, &leaving->size);
#    endif
}

#endif

_Noreturn void ouro__context_leave(struct ouro__context *from, struct ouro__context *to)
{
#if OURO__ASAN
    leaving = from;
    __sanitizer_start_switch_fiber(NULL, to->bottom, to->size);
#endif
#if OURO__TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    jump(from, to);
    abort(); /* somebody resumed a task that had ended */
}

void ouro__context_drop(struct ouro__context *context)
{
#if OURO__TSAN
    __tsan_destroy_fiber(context->fiber);
#endif
    (void)context;
}
