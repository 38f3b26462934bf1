/* SPDX-License-Identifier: MIT */
/*
 * Follow a file: tail_follow FILE prints what is written to it from now on, until it is removed.
 * When it is cut short, it begins again; when another file gets its name, as log rotation does it,
 * it first reads the old one to its end.
 *
 * Without arguments it follows a file that it writes itself.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

/* The folder is watched, since a watch of the file itself would go with it when it is renamed. */
#define EVENTS (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE)

struct tail {
    const char *path;
    const char *name; /* the last part of it */
    ouro_notify *notify;
    ouro_file *file; /* NULL: there is none now */
    int64_t offset;  /* up to here it has been printed */
    int64_t printed; /* bytes, in all */
};

/* Print what is new. */
static int64_t print_rest(struct tail *t)
{
    char bytes[4096];
    ouro_stat st;
    int64_t n = t->file ? ouro_await(ouro_file_stat(t->file, &st)) : 0;
    if (!t->file || n < 0)
        return n;
    if (st.size < (uint64_t)t->offset) {
        puts("(cut short)");
        t->offset = 0;
    }
    while ((n = ouro_await(ouro_file_read(t->file, bytes, sizeof bytes, t->offset))) > 0) {
        fwrite(bytes, 1, (size_t)n, stdout);
        t->offset += n;
        t->printed += n;
    }
    fflush(stdout);
    return n;
}

/* The file that has the name now, from @offset. It may have gone already. */
static int64_t open_it(struct tail *t, int64_t offset)
{
    int64_t rc;
    ouro_file_free(t->file);
    t->file = ouro_await_ptr(ouro_file_open(t->path, O_RDONLY, NULL), &rc);
    t->offset = offset;
    return rc == -ENOENT ? 0 : rc;
}

/* 1: go on. 0: it was removed. */
static int64_t handle(struct tail *t, const ouro_notify_event *e)
{
    int lost_some = (e->mask & IN_Q_OVERFLOW) != 0;
    if (!lost_some && (!e->name || strcmp(e->name, t->name) != 0))
        return 1;
    uint32_t mask = e->mask; /* e is valid until the next event */
    int64_t rc = print_rest(t);
    if (rc >= 0 && (lost_some || (mask & (IN_CREATE | IN_MOVED_TO)))) {
        puts("(another file)");
        rc = open_it(t, 0);
        if (rc >= 0)
            rc = print_rest(t);
    }
    return rc < 0 ? rc : !(mask & IN_DELETE);
}

static int64_t follow(struct tail *t)
{
    int64_t rc = 1;
    while (rc > 0) {
        const ouro_notify_event *e = ouro_await_ptr(ouro_notify_next(t->notify), &rc);
        if (e)
            rc = handle(t, e);
    }
    return rc;
}

/* The watch comes first, so that nothing is missed in between. */
static int64_t begin(struct tail *t, const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    *t = (struct tail){.path = path, .name = slash ? slash + 1 : path};
    snprintf(folder, sizeof folder, "%.*s", length, slash ? path : ".");
    int64_t rc = ouro_notify_open(NULL, &t->notify);
    if (rc == 0)
        rc = ouro_await(ouro_notify_add(t->notify, folder, EVENTS));
    if (rc >= 0)
        rc = open_it(t, 0);
    ouro_stat st;
    if (rc < 0 || !t->file)
        return rc;
    rc = ouro_await(ouro_file_stat(t->file, &st));
    t->offset = (int64_t)st.size;
    return rc;
}

static void end(struct tail *t)
{
    ouro_notify_free(t->notify);
    ouro_file_free(t->file);
}

/* ---- By itself ------------------------------------------------------------------------------- */

/* Write, and wait until it has been printed. */
static int64_t write_and_see(struct tail *t, int flags, const char *text)
{
    int64_t seen = t->printed + (int64_t)strlen(text);
    int64_t rc;
    ouro_file *f = ouro_await_ptr(ouro_file_open(t->path, O_WRONLY | O_CREAT | flags, NULL), &rc);
    if (f)
        rc = ouro_await(ouro_file_append(f, text, strlen(text)));
    ouro_file_free(f);
    while (rc >= 0 && t->printed < seen)
        rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc;
}

static int64_t write_log(void *arg)
{
    struct tail *t = arg;
    char old[256];
    snprintf(old, sizeof old, "%s.1", t->path);
    int64_t rc = write_and_see(t, 0, "one\n");
    if (rc >= 0)
        rc = write_and_see(t, 0, "two\nthree\n");
    if (rc >= 0)
        rc = write_and_see(t, O_TRUNC, "four\n");
    if (rc >= 0)
        rc = ouro_await(ouro_path_rename(t->path, old, NULL));
    if (rc >= 0)
        rc = write_and_see(t, 0, "five\n");
    int64_t removed = ouro_await(ouro_path_unlink(t->path, NULL)); /* ends the follower */
    return rc < 0 ? rc : removed;
}

static int64_t demonstrate(void)
{
    int64_t rc;
    ouro_temp *folder = ouro_await_ptr(
        ouro_temp_open(&(ouro_temp_options){.kind = OURO_TEMP_FOLDER}), &rc);
    if (!folder)
        return rc;
    char path[256];
    snprintf(path, sizeof path, "%s/log", ouro_temp_path(folder));
    struct tail t = {0};
    rc = ouro_await(ouro_file_write_atomic(path, NULL, 0, NULL));
    if (rc >= 0)
        rc = begin(&t, path);
    if (rc >= 0) {
        ouro_future *writer = ouro_spawn(write_log, &t);
        rc = follow(&t);
        int64_t written = ouro_await(writer);
        rc = rc < 0 ? rc : written;
    }
    end(&t);
    ouro_temp_free(folder);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t run(void *path)
{
    struct tail t;
    if (!path)
        return demonstrate();
    int64_t rc = begin(&t, path);
    if (rc >= 0)
        rc = follow(&t);
    end(&t);
    return rc;
}

int main(int argc, char **argv)
{
    int64_t rc = ouro_run(run, argc > 1 ? argv[1] : NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "tail_follow: %s\n", ouro_strerror(rc));
    return rc < 0;
}
