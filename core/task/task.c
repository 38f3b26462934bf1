/* SPDX-License-Identifier: MIT */
/*
 * Tasks: starting, running and ending them.
 *
 * A spawned task waits in the ready list. Its first run takes a stack and enters the body; each
 * suspension returns to whoever resumed it, which is the loop, or for an eager start the spawner.
 * When the body has returned, control leaves its stack for good, and from outside the stack is
 * given back and the future settled. A task cancelled before it started never gets a stack; one for
 * which there is no memory fails with -ENOMEM as if its body had returned that.
 */
#include "pool_int.h"

#define DEFAULT_STACK ((size_t)64 << 10)
#define MIN_STACK     ((size_t)1 << OURO__STACK_MIN_LOG)
#define MAX_STACK     ((size_t)1 << OURO__STACK_MAX_LOG)

/* A deeper call chain, and larger frames, when every variable has red zones. */
#if OURO__ASAN || OURO__TSAN
#    define STACK_FACTOR 4
#else
#    define STACK_FACTOR 1
#endif

#ifndef OURO__UCONTEXT
#    if !OURO__ASAN && !OURO__TSAN
/* With the one page of stack that a sleeper touches, and the sleep, within 4.4 KiB. */
static_assert(sizeof(struct ouro__task) <= 208, "a task outgrew its budget");
#    endif
#endif

static void run(struct ouro__job *job);

/* ---- The task's own stack -------------------------------------------------------------------- */

static void body(void *arg)
{
    struct ouro__task *task = arg;
    ouro__context_arrive();
    task->f.result.n = task->fn(task->arg);
    task->flags |= OURO__TASK_RETURNED;
    ouro__context_leave(&task->context, task->back);
}

/* Debug: the step ends here; if it was a long one, this is where its stack can still be seen. */
static void note_slow_step(ouro_loop *loop)
{
    if (ouro__loop_now(loop) - loop->step.began > OURO__SLOW_STEP)
        loop->step.frame_count = ouro__frames(loop->step.frames, OURO__FRAMES);
}

/* The task that the loop would resume next, if nothing has to happen in between. */
static struct ouro__task *next_task(ouro_loop *loop)
{
    if (loop->stepwise || loop->eager)
        return NULL;
    if (ouro__list_empty(&loop->batch) && !ouro__loop_short_turn(loop))
        return NULL;
    struct ouro__job *job = OURO__CONTAINER(loop->batch.next, struct ouro__job, link);
    if (job->run != run)
        return NULL;
    struct ouro__task *next = OURO__CONTAINER(job, struct ouro__task, job);
    return next->flags & OURO__TASK_STARTED ? next : NULL;
}

/* To the loop or, which saves a switch, straight to the task it would go to. */
void ouro__task_suspend(struct ouro__task *task)
{
    ouro_loop *loop = task->f.loop;
    assert(loop->task == task);
    struct ouro__task *next = next_task(loop);
    if (!next) {
        if (loop->debug)
            note_slow_step(loop);
        ouro__context_switch(&task->context, task->back);
        return;
    }
    ouro__list_remove(&next->job.link);
    next->back = task->back;
    next->budget = 0;
    loop->task = next;
    if (next != task) /* it may be the only one that is ready */
        ouro__context_switch(&task->context, &next->context);
}

/* ---- Outside it ------------------------------------------------------------------------------ */

/* Replace the object of a pending task's result. */
static void set_object(ouro_future *f, void *ptr, ouro_free_fn *ptr_free)
{
    void *old = f->result.ptr;
    ouro_free_fn *old_free = f->ptr_free;
    f->result.ptr = ptr;
    f->ptr_free = ptr_free;
    if (old_free && old)
        old_free(old);
}

/* The body has returned, or never will run: @task->f.result.n is what it came to. */
static void finish(struct ouro__task *task)
{
    ouro_future *f = &task->f;
    ouro_loop *loop = f->loop;
    if (task->arg_free)
        task->arg_free(task->arg);
    ouro__locals_unref(loop, task->locals);
    task->locals = NULL;
    int64_t n = f->result.n;
    bool words = task->flags & OURO__TASK_HAS_WORDS;
    if ((n < 0) != words) /* an error has words, if anything, and a value an object */
        set_object(f, NULL, NULL);
    loop->tasks--;
    if (n == -ECANCELED && (f->flags & OURO__CANCEL_ASKED))
        ouro__settle(f, OURO_CANCELLED, n);
    else
        ouro__settle_n(f, n);
}

static void note_depth(ouro_loop *loop, const struct ouro__task *task)
{
    size_t depth = ouro__stack_depth(&loop->stacks, task->stack);
    if (depth > loop->deepest_stack) {
        loop->deepest_stack = depth;
        ouro__name_copy(loop->deepest_name, task->name);
    }
}

static void leave_stack(struct ouro__task *task)
{
    ouro_loop *loop = task->f.loop;
    if (loop->debug)
        note_depth(loop, task);
    if (task->scope) {
        ouro__scopes_forget(task);
        ouro__report_future(&task->f, OURO_REPORT_LEAK, 0,
                            "returned without leaving a scope it entered");
    }
    if (task->locks)
        ouro__report_future(&task->f, OURO_REPORT_LEAK, 0,
                            "returned without unlocking a mutex it had locked");
    ouro__context_drop(&task->context);
    ouro__stack_put(&loop->stacks, task->stack);
    task->stack = NULL;
    finish(task);
}

/* Take a stack. False when the task has ended without one. */
static bool start(struct ouro__task *task)
{
    ouro_loop *loop = task->f.loop;
    task->flags |= OURO__TASK_STARTED;
    if (task->f.flags & OURO__CANCEL_ASKED) {
        task->f.result.n = -ECANCELED;
        finish(task);
        return false;
    }
    task->stack = ouro__stack_get(&loop->stacks, task->stack_size);
    if (!task->stack) {
        task->f.result.n = -ENOMEM;
        finish(task);
        return false;
    }
    ouro__context_make(&task->context, ouro__stack_base(&loop->stacks, task->stack),
                       ouro__stack_room(&loop->stacks, task->stack), body, task);
    return true;
}

static void run(struct ouro__job *job)
{
    struct ouro__task *task = OURO__CONTAINER(job, struct ouro__task, job);
    ouro_loop *loop = task->f.loop;
    if (!(task->flags & OURO__TASK_STARTED) && !start(task))
        return;
    struct ouro__task *resumer = loop->task;
    struct ouro__context here;
    task->back = &here;
    task->budget = 0;
    loop->task = task;
    if (loop->debug) {
        loop->step.what = "task";
        ouro__name_copy(loop->step.name, task->name);
    }
    ouro__context_switch(&here, &task->context);
    struct ouro__task *last = loop->task; /* tasks may have switched to each other meanwhile */
    loop->task = resumer;
    if (last->flags & OURO__TASK_RETURNED)
        leave_stack(last);
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

ouro_future *ouro__task_interrupt(struct ouro__task *task)
{
    ouro__scopes_tell_groups(task);
    if (task->flags & OURO__TASK_IN_LINE) {
        if (ouro__task_cancelled(task))
            ouro__waiter_give_up(task->in_line);
        return NULL;
    }
    ouro_future *f = task->awaiting;
    if (!f || f->state != OURO_PENDING || !ouro__task_cancelled(task))
        return NULL;
    if (!(task->flags & OURO__TASK_JOINING))
        return f;
    task->flags |= OURO__TASK_DETACHED;
    task->awaiting = NULL;
    ouro__list_remove(&task->job.link);
    ouro__ready(task->f.loop, &task->job);
    return NULL;
}

const struct ouro__task *ouro__task_of_job(const struct ouro__job *job)
{
    return job->run == run ? OURO__CONTAINER(job, const struct ouro__task, job) : NULL;
}

bool ouro__task_joins(const struct ouro__job *job)
{
    const struct ouro__task *task = ouro__task_of_job(job);
    return task && (task->flags & OURO__TASK_JOINING);
}

static ouro_future *task_cancel(ouro_future *f)
{
    struct ouro__task *task = ouro__task_of(f);
    if (!task->cancel_reason)
        task->cancel_reason = "cancelled";
    return ouro__task_interrupt(task);
}

void ouro__task_cancel(struct ouro__task *task, const char *reason)
{
    if (!task->cancel_reason)
        task->cancel_reason = reason;
    ouro__cancel(&task->f);
}

static void task_describe(const ouro_future *f, char *text, size_t size)
{
    snprintf(text, size, "task '%s'", ouro_task_name(f));
}

static bool task_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    const struct ouro__task *task = OURO__CONTAINER(f, const struct ouro__task, f);
    *ret_part = task->flags & OURO__TASK_IN_LINE ? NULL : task->awaiting;
    return i == 0;
}

const struct ouro__kind ouro__task_kind = {
    .name = "task",
    .size = sizeof(struct ouro__task),
    .cancel = task_cancel,
    .describe = task_describe,
    .part = task_part,
};

/* ---- Spawning -------------------------------------------------------------------------------- */

static struct ouro__task *task_new(ouro_loop *loop, ouro_task_fn *fn, void *arg,
                                   const ouro_spawn_options *opts)
{
    struct ouro__task *task = ouro__future_new(loop, &ouro__task_kind);
    if (!task)
        return NULL;
    size_t size = (opts->stack_size ? opts->stack_size : DEFAULT_STACK) * STACK_FACTOR;
    if (size < MIN_STACK)
        size = MIN_STACK;
    task->job = (struct ouro__job){.run = run};
    task->stack = NULL;
    task->fn = fn;
    task->arg = arg;
    task->arg_free = opts->arg_free;
    task->name = opts->name ? opts->name : "task";
    task->awaiting = NULL;
    task->scope = NULL;
    task->cancel_reason = NULL;
    task->locals = ouro__locals_ref(ouro__locals_current(loop));
    task->stack_size = (uint32_t)(size < MAX_STACK ? size : MAX_STACK);
    task->ignored = 0;
    task->locks = 0;
    task->budget = 0;
    task->flags = 0;
    loop->tasks++;
    return task;
}

ouro_future *ouro__spawn(ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                         const void *place)
{
    ouro_loop *loop;
    int rc = fn && opts->stack_size <= MAX_STACK ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__task *task = task_new(loop, fn, arg, opts);
    if (!task)
        return ouro__failed(-ENOMEM);
    if (task->f.origin)
        task->f.origin->place = place;
    if (opts->eager) {
        loop->eager++;
        run(&task->job);
        loop->eager--;
    } else {
        ouro__ready(loop, &task->job);
    }
    return &task->f;
}

static ouro_future *spawn(ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                          const void *place)
{
    static const ouro_spawn_options defaults;
    ouro_future *f = ouro__spawn(fn, arg, opts ? opts : &defaults, place);
    if ((f->flags & OURO__IMMORTAL) && opts && opts->arg_free)
        opts->arg_free(arg);
    return f;
}

ouro_future *ouro_spawn_with(ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts)
{
    return spawn(fn, arg, opts, __builtin_return_address(0));
}

ouro_future *ouro_spawn(ouro_task_fn *fn, void *arg)
{
    return spawn(fn, arg, NULL, __builtin_return_address(0));
}

/* ---- About the current task ------------------------------------------------------------------ */

ouro_future *ouro_task_current(void)
{
    return ouro__this_loop && ouro__this_loop->task ? &ouro__this_loop->task->f : NULL;
}

const char *ouro_task_name(const ouro_future *task)
{
    const ouro_future *f = task ? task : ouro_task_current();
    if (!f || f->kind != &ouro__task_kind)
        return NULL;
    return OURO__CONTAINER(f, const struct ouro__task, f)->name;
}

int64_t ouro_task_return(void *ptr, ouro_free_fn *ptr_free)
{
    ouro_loop *loop;
    if (ouro__loop_here(&loop) < 0 || !loop->task)
        return ouro__job_return(ptr, ptr_free);
    loop->task->flags &= (uint8_t)~OURO__TASK_HAS_WORDS;
    set_object(&loop->task->f, ptr, ptr_free);
    return 0;
}

/* Give them to what runs on this thread; false: nothing does. */
static bool say(char *words)
{
    ouro_loop *loop;
    if (ouro__loop_here(&loop) < 0 || !loop->task)
        return ouro__job_say(words);
    set_object(&loop->task->f, words, ouro__release);
    loop->task->flags |= OURO__TASK_HAS_WORDS;
    return true;
}

int64_t ouro_task_fail(int64_t error, const char *format, ...)
{
    if (error >= 0 || !format)
        return error;
    va_list args;
    va_start(args, format);
    char *words = ouro__format(format, args);
    va_end(args);
    if (words && !say(words))
        ouro__release(words);
    return error;
}
