/* SPDX-License-Identifier: MIT */
/*
 * Walking a tree.
 *
 * Happy path: jobs of the disk lane go down the tree (tree.c) and gather entries, a batch at a
 * time; the loop hands them out. A folder is entered after its entry has been gathered. Nothing is
 * read ahead of the batch that is being handed out, so leaving out a folder costs at most the rest
 * of that batch: what lies too deep in it is not shown, and the next job leaves the levels below
 * before it goes on.
 *
 * How it fails: a folder that cannot be entered is an entry with an error. No memory ends the walk,
 * after what had been gathered.
 */
#include "disk.h"
#include "feed.h"
#include "tree.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include <ouro/task.h>

#define AT_A_TIME 256u

/* Entries as they are gathered. Their paths are offsets into the text until that is complete. */
struct gathering {
    ouro_walk_entry *list;
    size_t count;
    struct ouro__text text;
};

struct ouro_walk {
    struct ouro__feed feed; /* the first: its handle is what the opening job returns */
    const char *path;       /* while it is being opened */
    unsigned max_depth;
    struct ouro__tree tree;       /* its jobs' */
    const char *entering;         /* the folder that comes next, in the last level; or NULL */
    struct ouro__batch *incoming; /* from a job that has ended */
    unsigned leave_to;            /* for the job that begins: leave levels that are deeper */
    unsigned shown_to;            /* entries that are deeper are not shown: UINT_MAX, all are */
    unsigned told_depth;          /* of the last entry that was shown; 0: none was */
    bool told_folder;
};

static ouro_walk *walk_of(const struct ouro__feed *feed)
{
    return OURO__CONTAINER(feed, ouro_walk, feed);
}

/* The same for what jobs are told. */
static ouro_walk *walk_at(const void *handle)
{
    return walk_of(ouro__feed_of(handle));
}

/* ---- On the lane ----------------------------------------------------------------------------- */

static int gather(ouro_walk *w, struct gathering *g, const char *name, ouro_walk_entry entry)
{
    const char *path = ouro__tree_path(&w->tree, name);
    size_t size = path ? strlen(path) + 1 : 0;
    if (!path || !ouro__text_reserve(&g->text, size))
        return -ENOMEM;
    entry.path = (const char *)(uintptr_t)g->text.used;
    entry.name = (const char *)(uintptr_t)(g->text.used + size - 1 - strlen(name));
    entry.depth = w->tree.depth;
    memcpy(g->text.bytes + g->text.used, path, size);
    g->text.used += size;
    g->list[g->count++] = entry;
    return 1;
}

static ouro_entry_type type_of(const ouro_walk *w, const ouro_entry *e)
{
    if (e->type != OURO_ENTRY_LINK || !w->tree.follow)
        return e->type;
    int fd = ouro__tree_fd(&w->tree);
    bool leads_to_folder = fd >= 0 && ouro__entry_type(fd, e->name, true) == OURO_ENTRY_FOLDER;
    return leads_to_folder ? OURO_ENTRY_FOLDER : OURO_ENTRY_LINK;
}

static int gather_next(ouro_walk *w, struct gathering *g)
{
    const ouro_entry *e = ouro__tree_next(&w->tree);
    if (!e) {
        ouro__tree_leave(&w->tree);
        return 1;
    }
    ouro_entry_type type = type_of(w, e);
    bool deeper = !w->max_depth || w->tree.depth < w->max_depth;
    if (type == OURO_ENTRY_FOLDER && deeper)
        w->entering = e->name;
    return gather(w, g, e->name, (ouro_walk_entry){.inode = e->inode, .type = type});
}

static int enter_folder(ouro_walk *w, struct gathering *g)
{
    const char *name = w->entering;
    w->entering = NULL;
    int rc = ouro__tree_enter(&w->tree, name);
    if (rc >= 0 || rc == -ENOMEM)
        return rc < 0 ? rc : 1;
    return gather(w, g, name, (ouro_walk_entry){.type = OURO_ENTRY_FOLDER, .error = rc});
}

/* One step of the walk. 1: go on; 0: the end; or an error. */
static int step(ouro_walk *w, struct gathering *g)
{
    if (w->tree.depth == 0)
        return 0;
    return w->entering ? enter_folder(w, g) : gather_next(w, g);
}

static struct ouro__batch *batch_of(struct gathering *g)
{
    for (size_t i = 0; i < g->count; i++) {
        g->list[i].path = g->text.bytes + (uintptr_t)g->list[i].path;
        g->list[i].name = g->text.bytes + (uintptr_t)g->list[i].name;
    }
    return ouro__batch_new(g->list, sizeof(*g->list), g->count, g->text.bytes);
}

static int64_t walk_on(void *arg)
{
    ouro_walk *w = walk_at(arg);
    struct gathering g = {.list = ouro__alloc(AT_A_TIME * sizeof(*g.list))};
    int rc = g.list ? 1 : -ENOMEM;
    if (w->leave_to != UINT_MAX)
        w->entering = NULL;
    while (w->tree.depth > w->leave_to)
        ouro__tree_leave(&w->tree);
    while (rc > 0 && g.count < AT_A_TIME && !ouro_job_cancelled())
        rc = step(w, &g);
    w->incoming = g.list ? batch_of(&g) : NULL;
    if (!w->incoming) {
        ouro__release(g.list);
        ouro__release(g.text.bytes);
        return -ENOMEM;
    }
    return rc;
}

static int64_t open_walk(void *arg)
{
    ouro_walk *w = walk_at(arg);
    int64_t rc = ouro__tree_begin(&w->tree, AT_FDCWD, w->path, true);
    if (rc == 0)
        rc = walk_on(arg);
    if (rc < 0)
        return ouro_task_fail(rc, "cannot walk %s", w->path);
    ouro__feed_add(&w->feed, w->incoming);
    w->incoming = NULL;
    return ouro__handle_opened(&w->feed.handle);
}

static int64_t shut_walk(void *arg)
{
    ouro__tree_drop(&walk_at(arg)->tree);
    return 0;
}

/* ---- As a feed ------------------------------------------------------------------------------- */

static int fetch_entries(struct ouro__feed *feed)
{
    ouro_walk *w = walk_of(feed);
    w->leave_to = w->shown_to;
    return w->tree.depth ? ouro__feed_run(feed, walk_on) : OURO__FEED_END;
}

static int entries_fetched(struct ouro__feed *feed, int64_t n)
{
    ouro_walk *w = walk_of(feed);
    ouro__feed_add(feed, w->incoming);
    w->incoming = NULL;
    return n < 0 && n != -ECANCELED ? (int)n : 0;
}

static int64_t show_entry(struct ouro__feed *feed, const void *record)
{
    ouro_walk *w = walk_of(feed);
    const ouro_walk_entry *e = record;
    if (e->depth > w->shown_to)
        return 0;
    w->shown_to = UINT_MAX;
    w->told_depth = e->depth;
    w->told_folder = e->type == OURO_ENTRY_FOLDER;
    return 1;
}

static bool walk_has_open(const struct ouro__handle *handle)
{
    return walk_at(handle)->tree.depth > 0;
}

static void walk_destroy(struct ouro__handle *handle)
{
    ouro_walk *w = walk_at(handle);
    ouro__feed_drop(&w->feed);
    ouro__tree_drop(&w->tree);
    ouro__batch_free(w->incoming);
    ouro__release(w);
}

static const struct ouro__feed_kind walk_kind = {
    .handle = {.name = "walk of a tree",
               .closing = ouro__feed_closing,
               .has_open = walk_has_open,
               .shut = shut_walk,
               .destroy = walk_destroy},
    .fetch = fetch_entries,
    .fetched = entries_fetched,
    .show = show_entry,
};

ouro_future *ouro_walk_open(const char *path, const ouro_walk_options *opts)
{
    static const ouro_walk_options defaults;
    ouro_loop *loop;
    int rc = path ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    ouro_walk *w = ouro__alloc(sizeof(*w));
    if (!w)
        return ouro__failed(-ENOMEM);
    opts = opts ? opts : &defaults;
    *w = (ouro_walk){
        .path = path,
        .max_depth = opts->max_depth,
        .tree = {.sorted = opts->sorted,
                 .follow = opts->follow_links,
                 .one_file_system = opts->one_file_system},
        .leave_to = UINT_MAX,
        .shown_to = UINT_MAX,
    };
    ouro__feed_init(&w->feed, loop, &walk_kind);
    return ouro__on_disk(open_walk, &w->feed.handle, ouro__handle_unref, "open of a walk");
}

ouro_future *ouro_walk_next(ouro_walk *w)
{
    return ouro__feed_next(w ? &w->feed : NULL);
}

int ouro_walk_skip(ouro_walk *w)
{
    int rc = ouro__handle_check(w ? &w->feed.handle : NULL);
    if (rc < 0)
        return rc;
    if (w->told_depth)
        w->shown_to = w->told_folder ? w->told_depth : w->told_depth - 1;
    return 0;
}

ouro_future *ouro_walk_close(ouro_walk *w)
{
    return ouro__handle_close(w ? &w->feed.handle : NULL);
}

ouro_walk *ouro_walk_free(ouro_walk *w)
{
    ouro__handle_free(w ? &w->feed.handle : NULL);
    return NULL;
}
