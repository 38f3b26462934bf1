/* SPDX-License-Identifier: MIT */
/*
 * ouro_as_completed(): several futures in the order in which they settle.
 *
 * A part watches each future; when its job has run, the job's link is its place in the list of what
 * is to be handed out. Who asks for the next gets the first of that list or stands in line, so one
 * of the two is always empty. What was handed out is a grant: nobody took it, and it is at the head
 * of the list again. The iteration's memory is kept by its owner and by each grant whose fate is
 * open.
 *
 * It looks on: ending it takes the parts out of the futures' waiters and cancels nothing. No memory
 * is the only failure, and takes nothing out of the list.
 */
#include "loop_int.h"
#include "several.h"

#include <ouro/select.h>

struct ouro_completions {
    struct ouro__giver giver; /* of indexes */
    ouro_loop *loop;          /* a reference */
    struct ouro__line line;   /* who waits for the next */
    struct ouro__link done;   /* parts that have settled, oldest first */
    size_t unfinished;        /* parts whose jobs have not run */
    size_t refs;              /* the owner's, and one of each index that is out */
    size_t n;
    struct ouro__part parts[];
};

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_completions *c = w->of;
    snprintf(text, size, "%zu of %zu done", c->n - c->unfinished, c->n);
}

static const struct ouro__wait_kind next_kind = {.name = "as completed", .describe = describe};

static void completions_unref(ouro_completions *c)
{
    if (--c->refs)
        return;
    ouro_loop_unref(c->loop);
    ouro__release(c);
}

/* ---- Handing out ----------------------------------------------------------------------------- */

static struct ouro__part *first_done(const ouro_completions *c)
{
    struct ouro__job *job = OURO__CONTAINER(c->done.next, struct ouro__job, link);
    return ouro__list_empty(&c->done) ? NULL : ouro__part_of(job);
}

/* The index of @part is out from now on. */
static int64_t give(ouro_completions *c, struct ouro__part *part)
{
    ouro__list_remove(&part->job.link);
    c->refs++;
    return part - c->parts;
}

/* Serve who can be served. */
static void go_on(ouro_completions *c)
{
    struct ouro__part *part;
    while (!ouro__line_empty(&c->line) && (part = first_done(c)))
        ouro__serve(c->line.first, give(c, part));
    if (c->unfinished == 0)
        ouro__serve_all(&c->line, -ENODATA);
}

static void index_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    ouro_completions *c = OURO__CONTAINER(giver, ouro_completions, giver);
    ouro__list_push_front(&c->done, &c->parts[result.n].job.link);
    go_on(c); /* for nobody, if it was freed */
    completions_unref(c);
}

static void index_taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    completions_unref(OURO__CONTAINER(giver, ouro_completions, giver));
}

static const struct ouro__giver_kind index_giver = {.back = index_back, .taken = index_taken};

static void part_settled(struct ouro__job *job)
{
    ouro_completions *c = ouro__part_of(job)->whole;
    c->unfinished--;
    ouro__list_push(&c->done, &job->link);
    go_on(c);
}

bool ouro__completions_look_on(const struct ouro__job *job)
{
    return job->run == part_settled;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static ouro_completions *completions_new(ouro_loop *loop, size_t n)
{
    if (n > (SIZE_MAX - sizeof(ouro_completions)) / sizeof(struct ouro__part))
        return NULL;
    ouro_completions *c = ouro__alloc(sizeof(*c) + n * sizeof(struct ouro__part));
    if (!c)
        return NULL;
    *c = (ouro_completions){
        .giver = {.kind = &index_giver},
        .loop = ouro_loop_ref(loop),
        .unfinished = n,
        .refs = 1,
        .n = n,
    };
    ouro__list_init(&c->done);
    return c;
}

int ouro_as_completed(ouro_future *const *fs, size_t n, ouro_completions **ret_completions)
{
    ouro_loop *loop;
    int rc = ret_completions ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__several_check(fs, n);
    if (rc < 0)
        return rc;
    ouro_completions *c = completions_new(loop, n);
    if (!c)
        return -ENOMEM;
    ouro__parts_borrow(c->parts, fs, n);
    ouro__parts_watch(c->parts, n, part_settled, c);
    *ret_completions = c;
    return 0;
}

ouro_future *ouro_completions_next(ouro_completions *c)
{
    ouro_loop *loop = NULL;
    int rc = c ? ouro__loop_check(c->loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__loop_for_wait(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__part *part = first_done(c);
    if (!part && c->unfinished == 0)
        return ouro_ready(-ENODATA);
    struct ouro__waiter w = {.kind = &next_kind, .of = c};
    if (!part)
        return ouro__wait_future(loop, &c->line, &w, &c->giver);
    ouro_future *f = ouro__granted_future(loop, (ouro_result){part - c->parts, NULL}, &c->giver);
    if (!(f->flags & OURO__IMMORTAL))
        give(c, part);
    return f;
}

ouro_completions *ouro_completions_free(ouro_completions *c)
{
    if (!c || ouro__loop_forked(c->loop) || !ouro__loop_is_here(c->loop))
        return NULL;
    ouro__parts_unwatch(c->parts, c->n);
    for (size_t i = 0; i < c->n; i++)
        ouro__unref(c->parts[i].f);
    ouro__serve_all(&c->line, -EPIPE);
    completions_unref(c);
    return NULL;
}
