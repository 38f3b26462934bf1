/* SPDX-License-Identifier: MIT */
/*
 * Which way an operation goes: through the ring, or by a system call on the spot.
 *
 * The ring is for what waits. But much of what files do does not wait: a cached read is a copy, and
 * so is a buffered write until the disk is far behind. For some of that the ring knows no way but a
 * thread of the kernel's, which costs several times the call itself. Measured on Linux 6.18, two
 * processors, microseconds an operation, alone / 32 at once (tests/bench/bench_routes.c; the times
 * of a busy machine, so look at the ratios):
 *
 *                         plain call   ring          disk lane     without waiting
 *     read 4 KiB  ext4    2.6          3.6 / 2.7     10.6 / 3.8    2.9 / 2.9  RWF_NOWAIT
 *                 tmpfs   5.7          17.9 / 13     31 / 11       not there
 *     read 64 KiB ext4    25           26 / 30       40 / 39       45 / 32
 *     write 4 KiB ext4    7.4          20 / 12.7     22 / 10       not there
 *                 tmpfs   2.0          9.2 / 7.5     15 / 7.2      not there
 *     stat a path ext4    1.6          10.9 / 3.0    12 / 7.9      4.0 / 3.7  RESOLVE_CACHED
 *     stat a file ext4    0.7          9.3 / 2.5     13 / 5.1      0.7 / 0.7  DONT_SYNC
 *     advise      ext4    0.5          8.0 / 1.5     11 / 4.3
 *     allocate    ext4    1.6          10.4 / 4.0    11 / 5.3
 *     truncate    ext4    4.9          12.4 / 9.0    15 / 6.8
 *     open        ext4    3.4          4.4 / 2.8     14 / 11       3.2 / 3.2
 *     create      ext4    11           23 / 14       29 / 26
 *     rename      ext4    11           25 / 12       36 / 28
 *     unlink      ext4    8            24 / 50       31 / 22
 *     fdatasync   tmpfs   0.3          9.3 / 1.1     16 / 7.4
 *
 * So, for each kind of file:
 *
 *                 memory     local disk    elsewhere    pipe, terminal, device
 *     read        at once    try, ring     try, ring    ring (device: try, ring)
 *     write       at once    at once       ring         ring
 *     stat        at once    at once       ring         at once
 *     sync        at once    ring          ring         ring
 *     close       at once    at once       ring         at once
 *
 * What is done at once is bounded: a slice of 128 KiB a call, two of them a turn; the rest comes in
 * the turns that follow, with everybody else's work in between. A large cached read gains nothing
 * by a thread: the same bytes are copied, at 2 to 6 times the cost of a look at the clock more.
 *
 * A buffered write can wait all the same: for pages to be written back, when the program writes
 * faster than the disk takes, or to read the rest of a page it fills in part. No system call tells
 * that before. So plain calls are timed: one that took too long sends those that follow through the
 * ring, for a while, and for twice as long if it happens again soon. A disk that is behind thus
 * holds the loop once in a while, and is counted as a stall.
 *
 * Names are made, changed and removed through the ring: the journal may be full and the folder
 * locked, nothing tells before, and 32 at once the ring costs little more than the calls themselves.
 * Truncating and allocating go there for the same reason. Opening does, too: the ring tries on the
 * spot what the cache has, and costs little more when it does. A close writes nothing on a local
 * disk, unless the file was truncated and written anew, which ext4 then writes out, or is unlinked,
 * when its blocks are freed: so what was written much through is closed by a thread of the kernel's.
 */
#include "file_int.h"

#include <sys/vfs.h>
#include <unistd.h>

#define STALL       OURO_MS(2)  /* a plain call of a slice that took longer has waited */
#define AVOID_FIRST OURO_MS(10) /* so long others are left alone then, */
#define AVOID_MOST  OURO_SEC(1) /* at most so long, */
#define AVOID_SOON  8           /* and twice as long within so many of the last time */

/* Bytes that make a close dear: what is not written back yet may be, or freed. */
#define MUCH_WRITTEN ((int64_t)1 << 20)

/* ---- Kinds ----------------------------------------------------------------------------------- */

/* Of statfs(2); the kernel's <linux/magic.h> does not have all of them. */
static enum ouro__file_kind kind_of_system(uint32_t type)
{
    switch (type) {
    case 0x01021994: /* tmpfs */
    case 0x858458f6: /* ramfs */
        return OURO__FILE_MEMORY;
    case 0xef53:     /* ext2, ext3, ext4 */
    case 0x58465342: /* XFS */
    case 0x9123683e: /* btrfs */
    case 0xf2f52010: /* F2FS */
    case 0xca451a4e: /* bcachefs */
    case 0x2fc12fc1: /* ZFS */
    case 0x794c7630: /* overlayfs, which writes to one of the above */
    case 0x4d44:     /* FAT */
    case 0x2011bab0: /* exFAT */
        return OURO__FILE_LOCAL;
    default:
        return OURO__FILE_ELSEWHERE;
    }
}

enum ouro__file_kind ouro__kind_of_fd(int fd)
{
    struct stat st;
    struct statfs fs;
    if (fstat(fd, &st) < 0)
        return OURO__FILE_ELSEWHERE;
    if (S_ISBLK(st.st_mode))
        return OURO__FILE_DEVICE;
    if (S_ISCHR(st.st_mode))
        return lseek(fd, 0, SEEK_CUR) < 0 ? OURO__FILE_STREAM : OURO__FILE_DEVICE;
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return OURO__FILE_STREAM;
    if (!S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
        return OURO__FILE_ELSEWHERE;
    return kind_of_system((uint32_t)fs.f_type);
}

static enum ouro__file_kind kind(ouro_file *file)
{
    if (file->kind == OURO__FILE_UNKNOWN)
        file->kind = (uint8_t)ouro__kind_of_fd(file->fd);
    return (enum ouro__file_kind)file->kind;
}

/* A file system in memory has a number that the next one may get, one on a disk that of its disk. */
bool ouro__answers_at_once(struct ouro__files *files, int fd, uint32_t major, uint32_t minor)
{
    struct statfs fs;
    uint64_t disk = (uint64_t)major << 32 | minor;
    if (major && disk == files->known_disk)
        return true;
    if (fstatfs(fd, &fs) < 0 || kind_of_system((uint32_t)fs.f_type) == OURO__FILE_ELSEWHERE)
        return false;
    files->known_disk = disk;
    return true;
}

/* ---- Routes ---------------------------------------------------------------------------------- */

enum ouro__route ouro__route_read(ouro_file *file)
{
    if (file->direct)
        return OURO__BY_RING;
    if (!file->no_nowait && file->kind == OURO__FILE_UNKNOWN)
        return OURO__TRY; /* what kind it is matters only when that is not known there */
    switch (kind(file)) {
    case OURO__FILE_MEMORY:
        return OURO__AT_ONCE;
    case OURO__FILE_STREAM:
        return OURO__BY_RING;
    default:
        return file->no_nowait ? OURO__BY_RING : OURO__TRY;
    }
}

enum ouro__route ouro__route_write(ouro_file *file)
{
    if (file->direct)
        return OURO__BY_RING;
    return kind(file) == OURO__FILE_MEMORY || kind(file) == OURO__FILE_LOCAL ? OURO__AT_ONCE
                                                                             : OURO__BY_RING;
}

enum ouro__route ouro__route_sync(ouro_file *file)
{
    return kind(file) == OURO__FILE_MEMORY ? OURO__AT_ONCE : OURO__BY_RING;
}

enum ouro__route ouro__route_stat(ouro_file *file)
{
    return kind(file) == OURO__FILE_ELSEWHERE ? OURO__BY_RING : OURO__AT_ONCE;
}

enum ouro__route ouro__route_close(ouro_file *file)
{
    if (file->written > MUCH_WRITTEN)
        return OURO__BY_RING;
    /* Nobody asked for its kind: it was not written. */
    return file->kind == OURO__FILE_ELSEWHERE ? OURO__BY_RING : OURO__AT_ONCE;
}

/* ---- Time ------------------------------------------------------------------------------------ */

bool ouro__caller_cancelled(const ouro_loop *loop)
{
    const struct ouro__task *task = loop->task;
    bool never_asked = !task || (!task->scope && !(task->f.flags & OURO__CANCEL_ASKED));
    return !never_asked && ouro__task_cancelled(task);
}

bool ouro__turn_has_time(struct ouro__files *files)
{
    const ouro_loop *loop = files->loop;
    if (files->turn != loop->turns) {
        files->turn = loop->turns;
        files->spent = 0;
    }
    return files->spent < OURO__TURN_BYTES && !ouro__caller_cancelled(loop);
}

void ouro__turn_spend(struct ouro__files *files, size_t bytes)
{
    files->spent += bytes;
}

void ouro__call_took(struct ouro__files *files, ouro_ns began)
{
    ouro_ns now = ouro__loop_now(files->loop);
    if (now - began < STALL)
        return;
    files->stats.stalls++;
    bool soon = files->avoided && now < files->avoid_until + files->avoided * AVOID_SOON;
    files->avoided = soon ? files->avoided * 2 : AVOID_FIRST;
    if (files->avoided > AVOID_MOST)
        files->avoided = AVOID_MOST;
    files->avoid_until = ouro__ns_add(now, files->avoided);
}

bool ouro__calls_avoided(struct ouro__files *files)
{
    return files->avoid_until && ouro__loop_now(files->loop) < files->avoid_until;
}
