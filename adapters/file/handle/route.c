/* SPDX-License-Identifier: MIT */
/*
 * Which way an operation goes: through the ring, or by a system call on the spot.
 *
 * The ring is for what waits. But much of what files do does not wait: a cached read is a copy, and
 * so is a buffered write until the disk is far behind. For some of that the ring knows no way but a
 * thread of the kernel's, which costs several times the call itself. Measured on Linux 6.18, two
 * processors (tests/bench/bench_routes.c): microseconds of the plain call, and how many times that
 * the other ways take, alone / 32 at once:
 *
 *                         plain call     ring        disk lane   without waiting
 *     read 4 KiB   ext4   2.6            1.3 / 1.1   4.0 / 1.7   0.9 / 1.2  RWF_NOWAIT
 *                  tmpfs  5.7            3.2 / 1.9   3.5 / 1.8   not there
 *     read 64 KiB  ext4   25             1.1 / 1.1   1.2 / 1.1   1.0 / 1.0  RWF_NOWAIT
 *     write 4 KiB  ext4   6.0            2.9 / 2.0   3.4 / 1.5   not there
 *                  tmpfs  2.0            5.9 / 2.5   4.7 / 3.2   not there
 *     write 64 KiB ext4   18             1.7 / 1.4   2.0 / 1.2   not there
 *     stat a path  ext4   1.6            6.4 / 2.0   7.3 / 4.3   2.4 / 2.5  RESOLVE_CACHED
 *     stat a file  ext4   0.7            11 / 3.8    17 / 7.6    1.0 / 1.0  DONT_SYNC
 *     advise       ext4   0.5            15 / 2.8    21 / 9.7
 *     allocate     ext4   1.6            6.5 / 2.6   7.0 / 3.9
 *     truncate     ext4   4.9            2.5 / 1.8   3.4 / 1.5
 *     open         ext4   3.4            1.3 / 0.9   4.2 / 3.2   1.1 / 1.0  RESOLVE_CACHED
 *     create       ext4   11             2.1 / 1.0   2.1 / 2.0
 *     rename       ext4   11             3.2 / 1.9   3.8 / 1.9
 *     unlink       ext4   8              2.7 / 1.7   3.2 / 2.9
 *     mkdir        ext4   50             1.4 / 1.1   1.6 / 1.2
 *     fdatasync    tmpfs  0.3            23 / 3.5    42 / 22
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
 * locked, nothing tells before, and 32 at once the ring costs little more than the calls
 * themselves. Truncating and allocating go there for the same reason. Opening does, too: the ring
 * tries on the spot what the cache has, and costs little more when it does. A close writes nothing
 * on a local disk, unless the file was truncated and written anew, which ext4 then writes out, or
 * is unlinked, when its blocks are freed: so what was written much through is closed by a thread of
 * the kernel's.
 */
#include "file_int.h"

#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STALL       OURO_MS(2)  /* a plain call of a slice that took longer has waited */
#define AVOID_FIRST OURO_MS(10) /* so long others are left alone then, */
#define AVOID_MOST  OURO_SEC(1) /* at most so long, */
#define AVOID_SOON  8           /* and twice as long within so many of the last time */

/* So many pieces wait for the end of the turn, and no more: a disk that is told of 32 at once has
 * stood still while they were queued, and that costs a fifth of its reads (measured). */
#define ASKED_MOST 4

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

/* A mount in the words of statmount(2), Linux 6.8: the C library does not know it yet. */
#define SYS_STATMOUNT    457
#define STATMOUNT_BASIC  1u
#define MOUNT_STRUCT_MAX 512

struct mount_question {
    uint32_t size, padding;
    uint64_t mount_id, what;
};

struct mount_answer {
    uint32_t size, padding;
    uint64_t mask;
    uint32_t device_major, device_minor;
    uint64_t type; /* as of statfs(2) */
    char rest[MOUNT_STRUCT_MAX - 32];
};

/* The type of the file system. statfs(2) would ask the server of one that has a server. */
static int64_t type_of_system(int fd, const struct statx *st)
{
    struct statfs fs;
    struct mount_answer answer;
    struct mount_question question = {
        .size = sizeof(question), .mount_id = st->stx_mnt_id, .what = STATMOUNT_BASIC};
    if ((st->stx_mask & OURO__STATX_MNT_ID_UNIQUE) &&
        syscall(SYS_STATMOUNT, &question, &answer, sizeof(answer), 0) == 0 &&
        (answer.mask & STATMOUNT_BASIC))
        return (int64_t)answer.type;
    return fstatfs(fd, &fs) == 0 ? (int64_t)(uint32_t)fs.f_type : -1;
}

/* A file system in memory has a number that the next one may get, one on a disk that of its
 * disk. */
static enum ouro__file_kind kind_of_place(struct ouro__files *files, int fd, const struct statx *st)
{
    uint64_t disk = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
    if (st->stx_dev_major && disk == files->known_disk)
        return OURO__FILE_LOCAL;
    int64_t type = type_of_system(fd, st);
    enum ouro__file_kind kind = type < 0 ? OURO__FILE_ELSEWHERE : kind_of_system((uint32_t)type);
    if (kind == OURO__FILE_LOCAL)
        files->known_disk = disk;
    return kind;
}

bool ouro__answers_at_once(struct ouro__files *files, int fd, const struct statx *st)
{
    return kind_of_place(files, fd, st) != OURO__FILE_ELSEWHERE;
}

static enum ouro__file_kind kind_of_fd(struct ouro__files *files, int fd)
{
    struct statx st;
    unsigned mask = STATX_TYPE | OURO__STATX_MNT_ID_UNIQUE;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &st) < 0)
        return OURO__FILE_ELSEWHERE;
    if (S_ISBLK(st.stx_mode))
        return OURO__FILE_DEVICE;
    if (S_ISCHR(st.stx_mode))
        return lseek(fd, 0, SEEK_CUR) < 0 ? OURO__FILE_STREAM : OURO__FILE_DEVICE;
    if (S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode))
        return OURO__FILE_STREAM;
    return S_ISREG(st.stx_mode) ? kind_of_place(files, fd, &st) : OURO__FILE_ELSEWHERE;
}

bool ouro__is_in_memory(ouro_loop *loop, int fd)
{
    return kind_of_fd(ouro__files_of(loop), fd) == OURO__FILE_MEMORY;
}

enum ouro__file_kind ouro__route_kind(ouro_file *file)
{
    if (file->kind == OURO__FILE_UNKNOWN)
        file->kind = (uint8_t)kind_of_fd(ouro__files_of(file->loop), file->fd);
    return (enum ouro__file_kind)file->kind;
}

/* ---- Routes ---------------------------------------------------------------------------------- */

enum ouro__route ouro__route_read(ouro_file *file)
{
    if (file->direct)
        return OURO__BY_RING;
    if (!file->no_nowait && file->kind == OURO__FILE_UNKNOWN)
        return OURO__TRY; /* what kind it is matters only when that is not known there */
    switch (ouro__route_kind(file)) {
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
    if (file->direct || file->through)
        return OURO__BY_RING;
    return ouro__route_kind(file) == OURO__FILE_MEMORY || ouro__route_kind(file) == OURO__FILE_LOCAL
               ? OURO__AT_ONCE
               : OURO__BY_RING;
}

enum ouro__route ouro__route_sync(ouro_file *file)
{
    return ouro__route_kind(file) == OURO__FILE_MEMORY ? OURO__AT_ONCE : OURO__BY_RING;
}

enum ouro__route ouro__route_stat(ouro_file *file)
{
    return ouro__route_kind(file) == OURO__FILE_ELSEWHERE ? OURO__BY_RING : OURO__AT_ONCE;
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

static void mind_turn(struct ouro__files *files)
{
    if (files->turn == files->loop->turns)
        return;
    files->turn = files->loop->turns;
    files->spent = 0;
    files->asked = 0;
}

bool ouro__turn_has_time(struct ouro__files *files)
{
    mind_turn(files);
    return files->spent < OURO__TURN_BYTES && !ouro__caller_cancelled(files->loop);
}

void ouro__disk_asked(struct ouro__files *files)
{
    mind_turn(files);
    if (++files->asked % ASKED_MOST == 0)
        ouro__loop_submit(files->loop);
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
