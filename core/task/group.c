/* SPDX-License-Identifier: MIT */
/*
 * Groups of tasks that end together.
 *
 * The user's struct is the scope of the body and a pointer. All else is an object of its own, which
 * each child refers to, so a body that returns without leaving its group leaves no pointer into its
 * stack behind: the children are cancelled, and the object goes with the last of them.
 *
 * Happy path: a child is watched by a job. When it has ended, the job tells on_child, notes an
 * error, gives the child's place to the next who waits to spawn, and after the last wakes the body,
 * which waits to leave. The first error cancels the group's scope, and whatever cancels that scope,
 * this or a deadline or a cancel from outside, cancels the children: scopes tell the groups inside.
 * So shields hold for children as they do for the body, and a body that waits for its children
 * needs no interrupting. All of this happens in jobs, never inside the call that settles or
 * cancels, and none of it allocates: a child that failed is its own entry in the list of errors.
 *
 * How it fails: entering and spawning for want of memory, spawning into what is cancelled or over.
 * Then the child's argument is still the caller's.
 */
#include "loop_int.h"

#include <ouro/group.h>

#define KEPT_SUPERVISED 64 /* errors: a supervisor may run for years */

struct members;

/* A child; when it has failed, what there is to tell of it. */
struct member {
    struct ouro__link link; /* in `children`, then in `errors` */
    struct members *all;
    ouro_future *task; /* a reference; NULL: not needed any more */
    union {
        struct ouro__job job; /* runs when it has ended */
        struct {
            ouro_group_error error;
            char name[OURO__NAME_MAX];
        };
    };
};

struct members {
    struct ouro__leaving leaving;
    struct ouro__job fork; /* passes a cancel on to the children */
    ouro_loop *loop;
    ouro_group *group; /* NULL: forgotten */
    ouro_group_options opts;
    struct ouro__locals *locals; /* for on_child */
    struct ouro__link children;
    struct ouro__link errors;
    struct ouro__link *seen; /* the entry that was asked for last; the list's head: none */
    int64_t seen_at;         /* and where it is; -1 for the head */
    struct ouro__line room;  /* who waits to spawn */
    struct ouro__line last;  /* the body, waiting for the last to end */
    const char *reason;      /* why the children were cancelled */
    int64_t live;            /* places taken, by children and by who was just given one in `room` */
    int64_t failed;
    int64_t error; /* what leaving will return; 0: none so far */
    uint32_t refs; /* the group's, and one of each member */
    bool stopped;  /* the children have been cancelled, and no more may come */
    bool cut;      /* and one of them has stopped for that */
    bool leaves;   /* the body waits for the last to end */
    bool over;     /* which it has */
};

static void member_free(struct member *child)
{
    if (child->task)
        ouro__unref(child->task);
    ouro__slab_free(&child->all->loop->slab, child, sizeof(*child));
}

static void members_unref(struct members *m)
{
    if (--m->refs)
        return;
    struct ouro__link *link;
    while ((link = ouro__list_pop(&m->errors)))
        member_free(OURO__CONTAINER(link, struct member, link));
    ouro__locals_unref(m->loop, m->locals);
    ouro__slab_free(&m->loop->slab, m, sizeof(*m));
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

static void cancel_children(struct ouro__job *fork)
{
    struct members *m = OURO__CONTAINER(fork, struct members, fork);
    OURO__LIST_FOR (link, &m->children) {
        ouro_future *f = OURO__CONTAINER(link, struct member, link)->task;
        struct ouro__task *task = ouro__task_of(f);
        if (!task->cancel_reason)
            task->cancel_reason = m->reason;
        ouro__cancel_chain(f);
    }
    ouro__serve_all(&m->room, -ECANCELED);
}

static void stop(struct members *m, const char *reason)
{
    if (m->stopped)
        return;
    m->stopped = true;
    m->reason = reason;
    ouro__list_push(&m->loop->cancelling, &m->fork.link);
}

void ouro__group_tell(ouro_scope *scope, const char *reason)
{
    stop(OURO__CONTAINER(scope, ouro_group, scope)->members, reason);
}

/* Cancel body and children, for the group's own reasons. */
static void cancel_group(struct members *m, const char *reason)
{
    if (m->group && !(m->group->scope.flags & OURO__SCOPE_CANCELLED))
        ouro__scope_cancel(&m->group->scope, reason);
}

/* ---- The end of a child ---------------------------------------------------------------------- */

static bool has_room(const struct members *m)
{
    return m->opts.limit == 0 || m->live < m->opts.limit;
}

/* Whether one more may come at once: nobody overtakes who stands in line. */
static bool may_come(const struct members *m)
{
    return has_room(m) && ouro__line_empty(&m->room);
}

/* A place is free: for those who wait to spawn or, if it was the last, for the body to go on. */
static void go_on(struct members *m)
{
    while (!ouro__line_empty(&m->room) && has_room(m)) {
        m->live++;
        ouro__serve(m->room.first, 0);
    }
    if (m->live > 0)
        return;
    m->over = m->leaves;
    ouro__serve_all(&m->last, 0);
}

static void give_place_back(struct members *m)
{
    m->live--;
    go_on(m);
}

/* Make the entry in the list of errors out of the child. */
static void keep_error(struct members *m, struct member *child, int64_t n)
{
    const char *name = ouro_task_name(child->task);
    const char *detail = ouro_future_detail(child->task);
    ouro__name_copy(child->name, name);
    const struct ouro__origin *origin = child->task->origin;
    child->error = (ouro_group_error){
        .error = n,
        .name = child->name,
        .detail = detail,
        .frames = origin ? origin->frames : NULL,
        .frame_count = origin ? origin->count : 0,
    };
    if (!detail && !origin) { /* else these are the task's */
        ouro__unref(child->task);
        child->task = NULL;
    }
    ouro__list_push(&m->errors, &child->link);
}

static void child_failed(struct members *m, struct member *child, int64_t n)
{
    if (m->failed++ < m->opts.errors_kept)
        keep_error(m, child, n);
    else
        member_free(child);
    if (m->opts.supervise)
        return;
    if (!m->error)
        m->error = n;
    cancel_group(m, "a child failed");
}

static void tell_user(struct members *m, ouro_future *child, int64_t n)
{
    ouro_group_child_fn *fn = m->opts.on_child;
    if (!fn)
        return;
    struct ouro__locals *before = ouro__callback_enter(m->loop, (void (*)(void))fn,
                                                       ouro__locals_ref(m->locals));
    fn(child, n, m->opts.arg);
    ouro__callback_leave(m->loop, before);
}

static void child_ended(struct ouro__job *job)
{
    struct member *child = OURO__CONTAINER(job, struct member, job);
    struct members *m = child->all;
    int64_t n = child->task->result.n;
    child->task->flags |= OURO__READ;
    m->live--;
    m->cut |= n == -ECANCELED && m->stopped;
    tell_user(m, child->task, n);
    ouro__list_remove(&child->link);
    if (n < 0 && n != -ECANCELED)
        child_failed(m, child, n);
    else
        member_free(child);
    go_on(m);
    members_unref(m);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void describe_members(const struct members *m, char *text, size_t size)
{
    const char *name = m->opts.name ? m->opts.name : "";
    snprintf(text, size, "%s%s%lld alive", name, *name ? ", " : "", (long long)m->live);
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    describe_members(w->of, text, size);
}

static const struct ouro__wait_kind room_kind = {.name = "room in group", .describe = describe};
static const struct ouro__wait_kind join_kind = {.name = "group", .describe = describe};
static const struct ouro__wait_kind exit_kind = {
    .name = "group", .describe = describe, .stubborn = true};

static int64_t wait_for_last(struct members *m, struct ouro__task *task,
                             const struct ouro__wait_kind *kind)
{
    struct ouro__waiter w = {.kind = kind, .of = m};
    return m->live > 0 ? ouro__wait_in_line(task, &m->last, &w) : 0;
}

/* Wait for the last child, and let none follow. */
static void wait_to_leave(struct members *m, struct ouro__task *task)
{
    m->leaves = true;
    wait_for_last(m, task, &exit_kind);
    m->over = true;
}

/* A place for one more, waiting for it if need be. 0, or -ECANCELED. */
static int take_place(struct members *m, struct ouro__task *task)
{
    if (m->stopped) {
        ouro_yield(); /* like every wait that fails for a cancel, so that ignoring it cannot hang
                         the loop */
        return -ECANCELED;
    }
    if (may_come(m)) {
        m->live++;
        return 0;
    }
    struct ouro__waiter w = {.kind = &room_kind, .of = m};
    m->refs++;
    int rc = (int)ouro__wait_in_line(task, &m->room, &w);
    if (rc == 0 && m->stopped) { /* in the meantime */
        give_place_back(m);
        rc = -ECANCELED;
    }
    members_unref(m);
    return rc;
}

/* ---- Entering and leaving -------------------------------------------------------------------- */

/* The group is left; or @forgotten, and its struct is gone. */
static void left(struct ouro__leaving *l, bool forgotten)
{
    struct members *m = OURO__CONTAINER(l, struct members, leaving);
    if (forgotten) {
        m->group = NULL;
        m->opts.on_child = NULL; /* its argument was lent until now */
        stop(m, "its group was forgotten");
        ouro__cancel_from(m->loop, NULL);
    } else {
        wait_to_leave(m, l->task);
    }
    members_unref(m);
}

static struct members *members_new(ouro_group *group, const ouro_group_options *opts)
{
    ouro_loop *loop = group->scope.task->loop;
    struct members *m = ouro__slab_alloc(&loop->slab, sizeof(*m));
    if (!m)
        return NULL;
    *m = (struct members){
        .leaving = {.run = left},
        .fork = {.run = cancel_children},
        .loop = loop,
        .group = group,
        .opts = *opts,
        .locals = ouro__locals_ref(ouro__locals_current(loop)),
        .refs = 1,
    };
    if (!opts->errors_kept)
        m->opts.errors_kept = opts->supervise ? KEPT_SUPERVISED : INT64_MAX;
    m->reason = ouro__task_cancelled(loop->task);
    m->stopped = m->reason != NULL;
    ouro__list_init(&m->children);
    ouro__list_init(&m->errors);
    m->seen = &m->errors;
    m->seen_at = -1;
    return m;
}

int ouro_group_enter(ouro_group *group, const ouro_group_options *opts)
{
    static const ouro_group_options defaults;
    if (!opts)
        opts = &defaults;
    if (!group || opts->limit < 0 || opts->errors_kept < 0)
        return -EINVAL;
    int rc = ouro_scope_enter(&group->scope, NULL);
    if (rc < 0)
        return rc;
    struct members *m = members_new(group, opts);
    group->members = m;
    if (!m) {
        ouro_scope_exit(&group->scope, 0);
        return -ENOMEM;
    }
    group->scope.flags |= OURO__SCOPE_GROUP;
    ouro__scope_on_leave(&group->scope, &m->leaving);
    return 0;
}

/* 0 and what is behind @group. -EINVAL: never entered; -ESHUTDOWN: left; -EXDEV, -ECHILD. */
static int find(const ouro_group *group, struct members **ret_members)
{
    if (!group || !(group->scope.flags & OURO__SCOPE_GROUP))
        return -EINVAL;
    if (!(group->scope.flags & OURO__SCOPE_ENTERED))
        return -ESHUTDOWN;
    *ret_members = group->members;
    return ouro__future_check(group->scope.task);
}

int64_t ouro_group_join(ouro_group *group)
{
    struct members *m;
    int64_t rc = find(group, &m);
    if (rc < 0)
        return rc == -ESHUTDOWN ? -EINVAL : rc;
    if (ouro_task_current() != group->scope.task)
        return -EPERM;
    struct ouro__task *task;
    rc = ouro__wait_begin(&task);
    if (rc == 0)
        rc = wait_for_last(m, task, &join_kind);
    if (rc == -ECANCELED) { /* maybe an inner scope's, whose own end it is to tell that */
        stop(m, ouro__task_cancelled(task));
        ouro__cancel_from(m->loop, NULL);
        wait_for_last(m, task, &exit_kind);
    }
    return m->error ? m->error : rc;
}

static void body_ended(struct members *m, int64_t rc)
{
    if (rc >= 0)
        return;
    if (rc != -ECANCELED && !m->error)
        m->error = rc;
    cancel_group(m, rc == -ECANCELED ? "cancelled" : "the body failed");
}

int64_t ouro_group_exit(ouro_group *group, int64_t rc)
{
    ouro_loop *loop;
    if (!group || ouro__loop_here(&loop) < 0 || !loop->task || loop->task->scope != &group->scope ||
        !(group->scope.flags & OURO__SCOPE_GROUP))
        return -EINVAL;
    struct ouro__task *task = loop->task;
    struct members *m = group->members;
    bool by_hand = group->scope.flags & OURO__SCOPE_CANCELLED;
    body_ended(m, rc);
    wait_to_leave(m, task); /* now: what else is to be done on leaving, children may still need */
    int64_t error = m->error;
    bool cut = m->cut || rc == -ECANCELED;
    ouro_scope_exit(&group->scope, 0);
    if (error)
        return error;
    if (cut && ouro__task_cancelled(task))
        return -ECANCELED;
    return rc == -ECANCELED && by_hand ? 0 : rc;
}

/* ---- Spawning -------------------------------------------------------------------------------- */

/* Start a child in a place that was taken for it. */
static int spawn(struct members *m, ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                 ouro_future **ret_task, const void *place)
{
    static const ouro_spawn_options defaults;
    struct member *child = ouro__slab_alloc(&m->loop->slab, sizeof(*child));
    if (!opts)
        opts = &defaults;
    ouro_future *f = child ? ouro__spawn(fn, arg, opts, place) : ouro__failed(-ENOMEM);
    if (f->flags & OURO__IMMORTAL) {
        if (child)
            ouro__slab_free(&m->loop->slab, child, sizeof(*child));
        give_place_back(m);
        return (int)f->result.n;
    }
    *child = (struct member){.all = m, .task = f, .job = {.run = child_ended}};
    m->refs++;
    ouro__list_push(&m->children, &child->link);
    ouro__watch(f, &child->job);
    if (m->stopped) /* while it ran for the first time, eagerly */
        ouro__task_cancel(ouro__task_of(f), m->reason);
    if (ret_task)
        *ret_task = ouro__ref(f);
    return 0;
}

/* Whether children may come to @group: as find(), and -ESHUTDOWN when it is over. */
static int find_to_spawn(const ouro_group *group, ouro_task_fn *fn, struct members **ret_members)
{
    int rc = fn ? find(group, ret_members) : -EINVAL;
    return rc == 0 && (*ret_members)->over ? -ESHUTDOWN : rc;
}

static int wait_and_spawn(ouro_group *group, ouro_task_fn *fn, void *arg,
                          const ouro_spawn_options *opts, ouro_future **ret_task, const void *place)
{
    struct members *m;
    struct ouro__task *task;
    int rc = find_to_spawn(group, fn, &m);
    if (rc == 0)
        rc = ouro__wait_begin(&task);
    if (rc == 0)
        rc = take_place(m, task);
    return rc < 0 ? rc : spawn(m, fn, arg, opts, ret_task, place);
}

int ouro_group_spawn_with(ouro_group *group, ouro_task_fn *fn, void *arg,
                          const ouro_spawn_options *opts, ouro_future **ret_task)
{
    return wait_and_spawn(group, fn, arg, opts, ret_task, __builtin_return_address(0));
}

int ouro_group_spawn(ouro_group *group, ouro_task_fn *fn, void *arg)
{
    return wait_and_spawn(group, fn, arg, NULL, NULL, __builtin_return_address(0));
}

int ouro_group_try_spawn(ouro_group *group, ouro_task_fn *fn, void *arg,
                         const ouro_spawn_options *opts, ouro_future **ret_task)
{
    struct members *m;
    int rc = find_to_spawn(group, fn, &m);
    if (rc < 0)
        return rc;
    if (m->stopped)
        return -ECANCELED;
    if (!may_come(m))
        return -EAGAIN;
    m->live++;
    return spawn(m, fn, arg, opts, ret_task, __builtin_return_address(0));
}

/* ---- To be printed --------------------------------------------------------------------------- */

ouro_future *ouro__group_child(const ouro_scope *scope, struct ouro__link **at)
{
    struct members *m = OURO__CONTAINER(scope, const ouro_group, scope)->members;
    *at = *at ? (*at)->next : m->children.next;
    return *at == &m->children ? NULL : OURO__CONTAINER(*at, struct member, link)->task;
}

void ouro__group_describe(const ouro_scope *scope, char *text, size_t size)
{
    describe_members(OURO__CONTAINER(scope, const ouro_group, scope)->members, text, size);
}

/* ---- The rest -------------------------------------------------------------------------------- */

int ouro_group_cancel(ouro_group *group, const char *reason)
{
    struct members *m;
    int rc = find(group, &m);
    if (rc < 0)
        return rc == -ESHUTDOWN ? -EINVAL : rc;
    return ouro_scope_cancel(&group->scope, reason);
}

int64_t ouro_group_live(const ouro_group *group)
{
    struct members *m;
    return find(group, &m) < 0 ? -EINVAL : m->live;
}

int64_t ouro_group_error_count(const ouro_group *group)
{
    struct members *m;
    return find(group, &m) < 0 ? -EINVAL : m->failed;
}

const ouro_group_error *ouro_group_error_at(const ouro_group *group, int64_t i)
{
    struct members *m;
    if (find(group, &m) < 0 || i < 0)
        return NULL;
    if (i < m->seen_at) {
        m->seen = &m->errors;
        m->seen_at = -1;
    }
    for (; m->seen_at < i; m->seen_at++) {
        if (m->seen->next == &m->errors)
            return NULL;
        m->seen = m->seen->next;
    }
    return &OURO__CONTAINER(m->seen, struct member, link)->error;
}
