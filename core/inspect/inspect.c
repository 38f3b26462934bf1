/* SPDX-License-Identifier: MIT */
/*
 * ouro_tasks_print(): the tree of tasks.
 *
 * What waits is printed above what it waits for. The roots are those that nobody waits for: tasks,
 * and what combines futures. No memory is needed: two marks in the futures tell who is waited for
 * and who has been printed, and the way down from the root is an array. What is too deep for the
 * array becomes a root of its own; so does, in a ring of waits, which has no root, its oldest task.
 *
 * The only failure is that of the stream.
 */
#include "loop_int.h"

#include <ouro/group.h>
#include <ouro/inspect.h>

#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

#define DEPTH_MAX   32 /* levels below a root */
#define CHAIN_MAX   8  /* futures on a line, each of which waits for the next */
#define WAITERS_MAX 3  /* names on a line */
#define LINE_SIZE   512

enum {
    WAITED_FOR = OURO__MARK_2,
    SHOWN = OURO__MARK,
};

/* What is being printed: under which line, and how far. */
struct level {
    const ouro_future *above; /* whose line it is */
    ouro_future *of;          /* a task, which comes itself, or a combination, whose parts come */
    size_t next;
    const ouro_scope *scope;  /* after that, the children of these groups */
    struct ouro__link *child; /* the last of them so far */
};

struct printer {
    FILE *out;
    ouro_loop *loop;
    bool failed;
    bool more; /* something was too deep, and is a root now */
    size_t depth;
    struct level way[DEPTH_MAX];
    size_t used;
    char line[LINE_SIZE + 1]; /* and a line feed */
};

/* ---- Lines ----------------------------------------------------------------------------------- */

static size_t room(const struct printer *p)
{
    return LINE_SIZE - p->used;
}

/* Count what was written at the end of the line. */
static void added(struct printer *p)
{
    p->used += strlen(p->line + p->used);
}

static void add(struct printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct printer *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->line + p->used, room(p), format, args);
    va_end(args);
    added(p);
}

static void add_future(struct printer *p, const ouro_future *f)
{
    if (f->kind->describe)
        f->kind->describe(f, p->line + p->used, room(p));
    else
        add(p, "%s", f->kind->name);
    added(p);
}

static void begin_line(struct printer *p)
{
    p->used = 0;
    add(p, "%*s", (int)(4 * p->depth), "");
}

static void end_line(struct printer *p)
{
    if (room(p) == 1) /* it did not fit */
        memcpy(p->line + p->used - 4, " ...", 4);
    p->line[p->used] = '\n';
    p->line[p->used + 1] = '\0';
    if (fputs(p->line, p->out) < 0)
        p->failed = true;
}

static void duration_text(char text[24], ouro_ns time)
{
    if (time < OURO_MS(1))
        snprintf(text, 24, "%llu us", (unsigned long long)(time / OURO_US(1)));
    else if (time < OURO_SEC(10))
        snprintf(text, 24, "%llu ms", (unsigned long long)(time / OURO_MS(1)));
    else
        snprintf(text, 24, "%llu s", (unsigned long long)(time / OURO_SEC(1)));
}

void ouro__describe_deadline(const ouro_future *f, const struct ouro__timer *timer, char *text,
                             size_t size)
{
    ouro_ns now = ouro__loop_now(f->loop);
    char left[24];
    if (!ouro__timer_is_set(timer)) {
        snprintf(text, size, "%s, for ever", f->kind->name);
    } else if (timer->deadline <= now) {
        snprintf(text, size, "%s, due now", f->kind->name);
    } else {
        duration_text(left, timer->deadline - now);
        snprintf(text, size, "%s, due in %s", f->kind->name, left);
    }
}

/* ---- What waits for what --------------------------------------------------------------------- */

static bool is_task(const ouro_future *f)
{
    return f->kind == &ouro__task_kind;
}

/* The next part of @f that has not settled, from the @*i-th on; NULL after the last. */
static ouro_future *next_part(const ouro_future *f, size_t *i)
{
    ouro_future *part;
    while (f->kind->part && f->kind->part(f, (*i)++, &part))
        if (part && part->state == OURO_PENDING)
            return part;
    return NULL;
}

static ouro_future *only_part(const ouro_future *f)
{
    size_t i = 0;
    ouro_future *part = next_part(f, &i);
    return part && !next_part(f, &i) ? part : NULL;
}

/* The next child of the groups that @*scope is in; NULL after the last of the outermost. */
static ouro_future *next_child(const ouro_scope **scope, struct ouro__link **at)
{
    for (; *scope; *scope = (*scope)->outer, *at = NULL) {
        ouro_future *f;
        if (!((*scope)->flags & OURO__SCOPE_GROUP))
            continue;
        while ((f = ouro__group_child(*scope, at)))
            if (f->state == OURO_PENDING)
                return f;
    }
    return NULL;
}

static const ouro_scope *scope_of(ouro_future *f)
{
    return is_task(f) ? ouro__task_of(f)->scope : NULL;
}

static void mark_waited_for(ouro_future *f)
{
    const ouro_scope *scope = scope_of(f);
    struct ouro__link *at = NULL;
    ouro_future *other;
    for (size_t i = 0; (other = next_part(f, &i));)
        other->flags |= WAITED_FOR;
    while ((other = next_child(&scope, &at)))
        other->flags |= WAITED_FOR;
}

/* What comes below a line, one at a time. */
static ouro_future *next_below(struct level *level)
{
    ouro_future *f = level->of;
    if (f && !is_task(f))
        f = next_part(f, &level->next);
    if (!f || is_task(level->of))
        level->of = NULL;
    return f ? f : next_child(&level->scope, &level->child);
}

/* ---- What it says of each -------------------------------------------------------------------- */

/* @f, if it waits for several and they have not been shown. */
static ouro_future *below_of(struct printer *p, ouro_future *f)
{
    if (!f->kind->part)
        return NULL;
    if (f->flags & SHOWN) {
        add(p, ", see above");
        return NULL;
    }
    f->flags |= SHOWN;
    return f;
}

/* Append what @f is, what that waits for, and so on. Returns what is to come below: the task at the
 * end, or what waits for several; or NULL. */
static ouro_future *add_chain(struct printer *p, ouro_future *f)
{
    for (int i = 0; i < CHAIN_MAX; i++) {
        add_future(p, f);
        if (is_task(f))
            return f;
        ouro_future *part = only_part(f);
        if (!part)
            return below_of(p, f);
        add(p, ": ");
        f = part;
    }
    add(p, "...");
    return NULL;
}

static ouro_future *add_state(struct printer *p, const struct ouro__task *task)
{
    if (task == p->loop->task) {
        add(p, "running");
    } else if (task->flags & OURO__TASK_IN_LINE) {
        add(p, "waits for ");
        ouro__waiter_describe(task->in_line, p->line + p->used, room(p));
        added(p);
    } else if (task->awaiting && task->awaiting->state == OURO_PENDING) {
        add(p, task->flags & OURO__TASK_JOINING ? "joins " : "waits for ");
        return add_chain(p, task->awaiting);
    } else if (!ouro__linked(&task->job.link)) {
        add(p, "running, and has started another");
    } else {
        add(p, task->flags & OURO__TASK_STARTED ? "ready" : "not started");
    }
    return NULL;
}

/* The groups that a task is in, but for the one that it waits for. */
static void add_groups(struct printer *p, const struct ouro__task *task)
{
    const void *of = task->flags & OURO__TASK_IN_LINE ? task->in_line->of : NULL;
    for (const ouro_scope *s = task->scope; s; s = s->outer) {
        if (!(s->flags & OURO__SCOPE_GROUP) ||
            OURO__CONTAINER(s, const ouro_group, scope)->members == of)
            continue;
        add(p, ", in group, ");
        ouro__group_describe(s, p->line + p->used, room(p));
        added(p);
    }
}

static void add_cancel(struct printer *p, ouro_future *f)
{
    const struct ouro__task *task = ouro__task_of(f);
    const char *reason = task ? ouro__task_cancelled(task) : NULL;
    if (reason)
        add(p, ", cancelled: %s", reason);
    else if (f->flags & OURO__CANCEL_ASKED)
        add(p, task ? ", cancelled, but shielded" : ", cancelled");
}

/* Tasks that wait for @f itself, but for the one whose line is above. */
static void add_waiters(struct printer *p, const ouro_future *f)
{
    const ouro_future *above = p->depth ? p->way[p->depth - 1].above : NULL;
    int n = 0;
    OURO__LIST_FOR (link, &f->waiters) {
        struct ouro__job *job = OURO__CONTAINER(link, struct ouro__job, link);
        const struct ouro__task *task = ouro__task_of_job(job);
        if (!task || &task->f == above)
            continue;
        if (n++ == WAITERS_MAX) {
            add(p, ", ...");
            return;
        }
        add(p, "%s'%s'", n == 1 ? ", awaited by " : ", ", task->name);
    }
}

/* The function that a task was spawned in or, if it has no name to the linker, where that is. */
static void add_place(struct printer *p, const char *place)
{
    Dl_info info;
    if (!dladdr(place - 1, &info)) { /* it is where the call returns to */
        add(p, ", spawned at %p", (const void *)place);
        return;
    }
    const char *file = strrchr(info.dli_fname, '/');
    file = file ? file + 1 : info.dli_fname;
    if (info.dli_sname)
        add(p, ", spawned in %s+%#tx", info.dli_sname, place - (const char *)info.dli_saddr);
    else
        add(p, ", spawned at %s(+%#tx)", file, place - (const char *)info.dli_fbase);
}

static void add_origin(struct printer *p, const ouro_future *f)
{
    char age[24];
    if (!f->origin)
        return;
    duration_text(age, ouro__loop_now(p->loop) - f->origin->born);
    add(p, ", %s old", age);
    if (f->origin->place)
        add_place(p, f->origin->place);
}

/* ---- The tree -------------------------------------------------------------------------------- */

/* The line of @f. Returns what comes below it, or NULL. */
static ouro_future *show(struct printer *p, ouro_future *f)
{
    const struct ouro__task *task = ouro__task_of(f);
    ouro_future *below = NULL;
    begin_line(p);
    if (f->flags & SHOWN) {
        add_future(p, f);
        add(p, ", see above");
        end_line(p);
        return NULL;
    }
    if (task) {
        add(p, "%s: ", task->name);
        below = add_state(p, task);
        add_groups(p, task);
    } else {
        below = add_chain(p, f);
    }
    f->flags |= SHOWN;
    add_cancel(p, f);
    add_waiters(p, f);
    add_origin(p, f);
    end_line(p);
    return below;
}

/* No further down: what is there comes later, from the margin. */
static void cut(struct printer *p, struct level level)
{
    ouro_future *f;
    while ((f = next_below(&level)))
        f->flags &= (uint16_t)~WAITED_FOR;
    p->more = true;
    begin_line(p);
    add(p, "    ... goes on below");
    end_line(p);
}

static void show_and_go_down(struct printer *p, ouro_future *f)
{
    bool again = f->flags & SHOWN;
    struct level level = {.above = f, .of = show(p, f), .scope = again ? NULL : scope_of(f)};
    struct level ahead = level;
    if (!next_below(&ahead))
        return;
    if (p->depth < DEPTH_MAX)
        p->way[p->depth++] = level;
    else
        cut(p, level);
}

static void show_tree(struct printer *p, ouro_future *root)
{
    show_and_go_down(p, root);
    while (p->depth > 0) {
        ouro_future *f = next_below(&p->way[p->depth - 1]);
        if (f)
            show_and_go_down(p, f);
        else
            p->depth--;
    }
}

static bool is_shown(const ouro_future *f)
{
    return f->state != OURO_PENDING || (f->flags & SHOWN);
}

static void show_roots(struct printer *p)
{
    p->more = false;
    OURO__LIST_FOR (link, &p->loop->futures) {
        ouro_future *f = OURO__CONTAINER(link, ouro_future, all);
        if (!is_shown(f) && !(f->flags & WAITED_FOR) && (is_task(f) || f->kind->combines))
            show_tree(p, f);
    }
}

/* Make the oldest task that is not shown a root: it is in a ring of waits. */
static void find_root(struct printer *p)
{
    OURO__LIST_FOR (link, &p->loop->futures) {
        ouro_future *f = OURO__CONTAINER(link, ouro_future, all);
        if (is_task(f) && !is_shown(f)) {
            f->flags &= (uint16_t)~WAITED_FOR;
            p->more = true;
            return;
        }
    }
}

static void show_all(struct printer *p)
{
    OURO__LIST_FOR (link, &p->loop->futures) {
        ouro_future *f = OURO__CONTAINER(link, ouro_future, all);
        if (f->state == OURO_PENDING)
            mark_waited_for(f);
    }
    do {
        show_roots(p);
        if (!p->more)
            find_root(p);
    } while (p->more);
    OURO__LIST_FOR (link, &p->loop->futures)
        OURO__CONTAINER(link, ouro_future, all)->flags &= (uint16_t) ~(WAITED_FOR | SHOWN);
}

int64_t ouro_tasks_print(FILE *out)
{
    ouro_loop *loop;
    int rc = out ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct printer p = {.out = out, .loop = loop};
    flockfile(out);
    begin_line(&p);
    add(&p, "%llu task%s", (unsigned long long)loop->tasks, loop->tasks == 1 ? "" : "s");
    end_line(&p);
    show_all(&p);
    if (fflush(out) < 0)
        p.failed = true;
    funlockfile(out);
    return p.failed ? -EIO : (int64_t)loop->tasks;
}
