/* SPDX-License-Identifier: MIT */
/*
 * A storm over files: tasks read, write, append, lock, ask, resize, sync, and close each other's
 * handles, and what they wait for is cancelled, timed out and given up at random. A step is one
 * operation.
 *
 * Invariants: a byte that is read is the one that belongs to its place, or a zero where nobody has
 * written; an operation fails with what its situation can lead to and nothing else; at the end no
 * future lives, and no descriptor is open that was not before. A wait that is forgotten never ends:
 * a timeout of the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "descriptors.h"

#include "storm.h"

enum { WORKERS = 24, HANDLES = 6, BUFFERS = 64 };

#define BUFFER ((size_t)400 << 10) /* three slices and a bit */
#define EXTENT ((int64_t)3 << 20)  /* of a file */

static ouro_file *handles[HANDLES];
static char *patterns;         /* what belongs to each place, for EXTENT + BUFFER bytes */
static char *buffers[BUFFERS]; /* to read into; each is one operation's until that has settled */
static ouro_future *users[BUFFERS];
static uint64_t done, failed;

static bool is_expected(int64_t n)
{
    switch (n) {
    case -ECANCELED:
    case -ETIMEDOUT:
    case -EBADF:
    case -ENODATA:
    case -ENOENT:
    case -EEXIST:
    case -OURO_ECHILDCANCELLED:
        return true;
    default:
        return n >= 0;
    }
}

/* ---- Places ---------------------------------------------------------------------------------- */

static const char *const folders[] = {"/var/tmp", "/dev/shm"};

static void name_of(unsigned i, char name[64])
{
    snprintf(name, 64, "%s/ouro-storm-%d-%u", folders[i % 2], (int)getpid(), i / 2);
}

/* A buffer that nobody uses, or NULL. */
static char *take_buffer(unsigned *ret_i)
{
    unsigned i = (unsigned)pick(BUFFERS);
    if (users[i] && ouro_future_state(users[i]) == OURO_PENDING)
        return NULL;
    users[i] = ouro_unref(users[i]);
    *ret_i = i;
    return buffers[i];
}

static void check_bytes(const char *got, int64_t n, int64_t offset)
{
    for (int64_t i = 0; i < n; i++)
        must(got[i] == 0 || got[i] == patterns[offset + i]);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Wait for @f in some way or other, or not. */
static int64_t consume(ouro_future *f)
{
    int64_t n = -ECANCELED;
    switch (pick(8)) {
    case 0:
        ouro_detach(f);
        break;
    case 1:
        ouro_cancel(f);
        n = ouro_await(f);
        break;
    case 2:
        n = ouro_await(ouro_timeout(f, pick(OURO_US(300))));
        break;
    case 3:
        ouro_yield();
        ouro_cancel(f);
        n = ouro_await(f);
        break;
    default:
        n = ouro_await(f);
    }
    must(is_expected(n));
    done += n >= 0;
    failed += n < 0;
    return n;
}

/* Wait for a read into buffer @i, and look at what it brought unless somebody else has the buffer
 * by then. */
static void finish_read(ouro_future *r, unsigned i, int64_t offset)
{
    ouro_future *seen = ouro_ref(r); /* so that no other gets its place in memory */
    consume(r);
    if (users[i] == seen && ouro_future_state(seen) != OURO_PENDING)
        check_bytes(buffers[i], ouro_file_moved(seen), offset);
    ouro_unref(seen);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static ouro_file *any(void)
{
    return handles[pick(HANDLES)];
}

static size_t some_size(void)
{
    return pick(3) ? pick(8192) : pick(BUFFER);
}

static void read_some(void)
{
    unsigned i;
    ouro_file *f = any();
    char *buf = take_buffer(&i);
    if (!f || !buf)
        return;
    size_t size = some_size();
    int64_t offset = (int64_t)pick((uint64_t)EXTENT);
    ouro_future *r = pick(2) ? ouro_file_read(f, buf, size, offset)
                             : ouro_file_read_exact(f, buf, size, offset);
    users[i] = ouro_ref(r);
    finish_read(r, i, offset);
}

static void read_several(void)
{
    unsigned i;
    ouro_file *f = any();
    char *buf = take_buffer(&i);
    if (!f || !buf)
        return;
    static struct iovec iov[BUFFERS][4]; /* lent with the buffer */
    size_t at = 0;
    int64_t offset = (int64_t)pick((uint64_t)EXTENT);
    for (int k = 0; k < 4; k++) {
        size_t size = pick(BUFFER / 4);
        iov[i][k] = (struct iovec){buf + at, size};
        at += size;
    }
    ouro_future *r = ouro_file_readv(f, iov[i], 4, offset);
    users[i] = ouro_ref(r);
    finish_read(r, i, offset);
}

static void write_some(void)
{
    ouro_file *f = any();
    int64_t offset = (int64_t)pick((uint64_t)EXTENT);
    if (f)
        consume(ouro_file_write(f, patterns + offset, some_size(), offset));
}

/* The zeros of an append are as good as nothing. */
static void append_some(void)
{
    static const char zeros[BUFFER];
    ouro_file *f = any();
    if (f)
        consume(ouro_file_append(f, zeros, some_size()));
}

static void control(void)
{
    static ouro_stat answers[WORKERS]; /* whoever has it last */
    ouro_file *f = any();
    if (!f)
        return;
    switch (pick(6)) {
    case 0:
        consume(ouro_file_truncate(f, (int64_t)pick((uint64_t)EXTENT)));
        break;
    case 1:
        consume(ouro_file_stat(f, &answers[pick(WORKERS)]));
        break;
    case 2:
        consume(ouro_file_fdatasync(f));
        break;
    case 3:
        consume(ouro_file_advise(f, 0, 0, OURO_ADVICE_DONTNEED));
        break;
    case 4:
        consume(ouro_file_allocate(f, 1, 0, EXTENT));
        break;
    default:
        consume(ouro_file_lock(f, OURO_LOCK_EXCLUSIVE, NULL));
        f = any();
        if (f)
            ouro_file_unlock(f, NULL);
    }
}

static void paths(void)
{
    static ouro_stat answers[WORKERS];
    static char names[HANDLES][64];
    unsigned i = (unsigned)pick(HANDLES);
    name_of(i, names[i]);
    if (pick(2))
        consume(ouro_path_stat(names[i], &answers[pick(WORKERS)], NULL));
    else
        consume(ouro_path_access(names[i], R_OK, NULL));
}

/* Close, free or open one. */
static void turn_over(void)
{
    static char names[HANDLES][64];
    unsigned i = (unsigned)pick(HANDLES);
    if (handles[i]) {
        ouro_file *f = handles[i];
        handles[i] = NULL;
        ouro_future *closing = pick(2) ? ouro_file_close(f) : NULL;
        if (pick(2) && closing)
            consume(ouro_ref(closing));
        ouro_unref(closing);
        ouro_file_free(f);
        return;
    }
    name_of(i, names[i]);
    int64_t rc;
    ouro_file *f = ouro_await_ptr(ouro_file_open(names[i], O_RDWR | O_CREAT,
                                                 &(ouro_file_options){.registered = pick(2) == 0}),
                                  &rc);
    must(f);
    if (handles[i])
        ouro_file_free(f);
    else
        handles[i] = f;
}

static int64_t worker(void *arg)
{
    (void)arg;
    while (steps < goal) {
        steps++;
        switch (pick(16)) {
        case 0:
            turn_over();
            break;
        case 1:
        case 2:
            control();
            break;
        case 3:
            paths();
            break;
        case 4:
            append_some();
            break;
        case 5:
        case 6:
            read_several();
            break;
        case 7:
        case 8:
        case 9:
        case 10:
            write_some();
            break;
        default:
            read_some();
        }
        if (pick(8) == 0)
            ouro_yield();
    }
    return 0;
}

static int64_t storm(void *arg)
{
    (void)arg;
    ouro_future *workers[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        workers[i] = ouro_spawn(worker, NULL);
    for (int i = 0; i < WORKERS; i++)
        must(ouro_await(workers[i]) == 0);
    for (int i = 0; i < HANDLES; i++)
        ouro_file_free(handles[i]);
    return 0;
}

static void hear_report(const ouro_report *r, void *arg)
{
    (void)arg;
    must(r->kind == OURO_REPORT_UNREAD_ERROR);
}

static void make_patterns(void)
{
    size_t size = (size_t)EXTENT + BUFFER;
    patterns = malloc(size);
    for (size_t i = 0; i < size; i++)
        patterns[i] = (char)(1 + (i * 7 + i / 4096) % 250);
    for (int i = 0; i < BUFFERS; i++)
        buffers[i] = calloc(1, BUFFER);
}

static void clean_up(void)
{
    char name[64];
    for (unsigned i = 0; i < HANDLES; i++) {
        name_of(i, name);
        unlink(name);
    }
    for (int i = 0; i < BUFFERS; i++)
        free(buffers[i]);
    free(patterns);
}

static void run(bool on_fake)
{
    ouro_loop *loop;
    ouro_loop_stats s;
    if (on_fake)
        return; /* which has no files */
    int before = open_fds();
    state = seed;
    make_patterns();
    must(ouro_loop_new(&(ouro_loop_options){.debug = -1}, &loop) == 0);
    must(ouro_report_set_handler(hear_report, NULL) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, NULL)) == 0);
    must(ouro_loop_run(loop) == 0);
    for (int i = 0; i < BUFFERS; i++)
        users[i] = ouro_unref(users[i]);
    must(ouro_loop_run(loop) == 0);
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0);
    must(s.live_operations == 0);
    must(s.live_timers == 0);
    must(ouro_loop_close(loop) == 0);
    clean_up();
    must(open_fds() == before);
    printf("kernel, seed %llu: %llu operations came to something, %llu did not\n",
           (unsigned long long)seed, (unsigned long long)done, (unsigned long long)failed);
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv, STORM_STEPS(40000, 5000), run);
}
