/* SPDX-License-Identifier: MIT */
/*
 * Files as a whole: appends, sync, size, questions, direct and registered transfers.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include "file_int.h"

#include <sys/vfs.h>

TestSuite(file_control, .timeout = 60);

/* ---- Appends --------------------------------------------------------------------------------- */

FileTest(file_control, appends_keep_the_order_of_their_calls)
{
    ouro_file *f = file_with("f", "start ");
    ouro_future *a[20];
    char text[20][8];
    for (int i = 0; i < 20; i++) {
        snprintf(text[i], sizeof(text[i]), "%02d ", i);
        a[i] = ouro_file_append(f, text[i], 3);
    }
    for (int i = 0; i < 20; i++)
        check_eq(ouro_await(a[i]), 3);
    check_contents("f", "start 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 ");
    close_file(f);
    return 0;
}

/* Large ones that take many turns do not mix. */
FileTest(file_control, large_appends_do_not_mix)
{
    enum { N = 4, SIZE = 700000 };
    static char buf[N][SIZE], in[SIZE];
    ouro_future *a[N];
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    for (int i = 0; i < N; i++) {
        memset(buf[i], 'a' + i, SIZE);
        a[i] = ouro_file_append(f, buf[i], SIZE);
    }
    for (int i = 0; i < N; i++)
        check_eq(ouro_await(a[i]), SIZE);
    for (int i = 0; i < N; i++) {
        check_eq(ouro_await(ouro_file_read_exact(f, in, SIZE, (int64_t)i * SIZE)), SIZE);
        check(memcmp(in, buf[i], SIZE) == 0);
    }
    close_file(f);
    return 0;
}

FileTest(file_control, with_o_append_the_kernel_finds_the_end)
{
    close_file(file_with("f", "one "));
    ouro_file *a = open_file("f", O_WRONLY | O_APPEND);
    ouro_file *b = open_file("f", O_WRONLY | O_APPEND);
    check_eq(ouro_await(ouro_file_append(a, "two ", 4)), 4);
    check_eq(ouro_await(ouro_file_append(b, "three ", 6)), 6);
    check_eq(ouro_await(ouro_file_append(a, "four", 4)), 4);
    check_eq(ouro_await(ouro_file_write(a, "x", 1, 0)), -EINVAL);
    check_contents("f", "one two three four");
    close_file(a);
    close_file(b);
    return 0;
}

/* ---- Disk and size --------------------------------------------------------------------------- */

FileTest(file_control, a_file_can_be_synced)
{
    ouro_file *f = file_with("f", "abc");
    check_eq(ouro_await(ouro_file_fdatasync(f)), 0);
    check_eq(ouro_await(ouro_file_fsync(f)), 0);
    check_eq(ouro_await(ouro_file_sync_range(f, 0, 0, 2)), 0);
    check_eq(ouro_await(ouro_file_sync_range(f, 0, (int64_t)1 << 40, 2)), 0);
    check_eq(ouro_await(ouro_file_sync_range(f, 0, 1, 1u << 20)), -EINVAL);
    close_file(f);
    return 0;
}

FileTest(file_control, stat_tells_what_there_is)
{
    ouro_stat st;
    struct stat plain;
    ouro_file *f = file_with("f", "0123456789");
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    check_eq(stat("f", &plain), 0);
    check_eq(st.size, 10);
    check_eq(st.mode, plain.st_mode);
    check_eq(st.inode, plain.st_ino);
    check_eq(st.links, 1);
    check_eq(st.uid, plain.st_uid);
    check_eq(st.gid, plain.st_gid);
    check_eq(st.blocks, plain.st_blocks);
    check_eq(st.modified.seconds, plain.st_mtim.tv_sec);
    check_eq(st.modified.nanoseconds, plain.st_mtim.tv_nsec);
    check_eq(st.changed.seconds, plain.st_ctim.tv_sec);
    check_eq(st.accessed.seconds, plain.st_atim.tv_sec);
    check(st.born.seconds > 1600000000);
    check(st.mount_id > 0);
    check_eq(st.reserved[0], 0);
    close_file(f);
    return 0;
}

/* The same by the ring, which a turn without time left and a folder take. */
FileTest(file_control, stat_by_the_ring_tells_the_same)
{
    ouro_stat st[200], folder;
    ouro_future *all[200];
    ouro_file *f = file_with("f", "0123456789");
    for (int i = 0; i < 200; i++)
        all[i] = ouro_file_stat(f, &st[i]);
    for (int i = 0; i < 200; i++) {
        check_eq(ouro_await(all[i]), 0);
        check_eq(st[i].size, 10);
        check_eq(st[i].modified.nanoseconds, st[0].modified.nanoseconds);
    }
    close_file(f);
    f = open_file(".", O_RDONLY | O_DIRECTORY);
    check_eq(ouro_await(ouro_file_stat(f, &folder)), 0);
    check(S_ISDIR(folder.mode));
    close_file(f);
    return 0;
}

FileTest(file_control, the_length_can_be_set)
{
    ouro_stat st;
    char buf[8];
    ouro_file *f = file_with("f", "0123456789");
    check_eq(ouro_await(ouro_file_truncate(f, 4)), 0);
    check_contents("f", "0123");
    check_eq(ouro_await(ouro_file_truncate(f, 6)), 0);
    check_eq(ouro_await(ouro_file_read(f, buf, 8, 0)), 6);
    check(memcmp(buf, "0123\0\0", 6) == 0);
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    check_eq(st.size, 6);
    close_file(f);
    f = open_file("f", O_RDONLY);
    check_eq(ouro_await(ouro_file_truncate(f, 0)), -EINVAL);
    close_file(f);
    return 0;
}

FileTest(file_control, room_can_be_taken_and_given_back)
{
    ouro_stat st;
    ouro_file *f = file_with("f", "0123456789");
    check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 1 << 20)), 0);
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    check_eq(st.size, 1 << 20);
    check(st.blocks >= 2048);
    check_eq(ouro_await(ouro_file_allocate(f, 3, 0, 1 << 20)), 0); /* PUNCH_HOLE | KEEP_SIZE */
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    check_eq(st.size, 1 << 20);
    check(st.blocks < 2048);
    check_eq(ouro_await(ouro_file_allocate(f, 1 << 20, 0, 1)), -EOPNOTSUPP);
    close_file(f);
    return 0;
}

FileTest(file_control, advice_is_taken)
{
    ouro_file *f = file_with("f", "0123456789");
    for (ouro_advice advice = OURO_ADVICE_NORMAL; advice <= OURO_ADVICE_NOREUSE; advice++)
        check_eq(ouro_await(ouro_file_advise(f, 0, 0, advice)), 0);
    check_eq(ouro_await(ouro_file_advise(f, 0, (int64_t)1 << 40, OURO_ADVICE_DONTNEED)), 0);
    close_file(f);
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_file_from_fd(ends[0], &f), 0);
    check_eq(ouro_await(ouro_file_advise(f, 0, 0, OURO_ADVICE_WILLNEED)), -ESPIPE);
    check_eq(ouro_await(ouro_file_advise(f, 0, 0, OURO_ADVICE_RANDOM)), -ESPIPE);
    close_file(f);
    close(ends[1]);
    return 0;
}

/* ---- What is no regular file ----------------------------------------------------------------- */

FileTest(file_control, a_pipe_gives_what_it_has)
{
    char buf[100] = "";
    int ends[2];
    ouro_file *in, *out;
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_file_from_fd(ends[0], &in), 0);
    check_eq(ouro_file_from_fd(ends[1], &out), 0);
    ouro_future *r = ouro_file_read(in, buf, sizeof(buf), 0);
    check_eq(ouro_await(ouro_file_write(out, "hello", 5, 0)), 5);
    check_eq(ouro_await(r), 5);
    check_eq(ouro_await(ouro_file_append(out, "and more", 8)), 8);
    check_eq(ouro_await(ouro_file_read_exact(in, buf, 4, 0)), 4);
    check_eq(ouro_await(ouro_file_read(in, buf, sizeof(buf), 0)), 4);
    close_file(out);
    check_eq(ouro_await(ouro_file_read(in, buf, sizeof(buf), 0)), 0);
    check_eq(ouro_await(ouro_file_read_exact(in, buf, 4, 0)), -ENODATA);
    close_file(in);
    return 0;
}

FileTest(file_control, a_large_write_to_a_pipe_goes_on_as_it_is_read)
{
    size_t size = 300000;
    char *out = malloc(size), *in = calloc(1, size);
    int ends[2];
    ouro_file *r, *w;
    fill(out, size);
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_file_from_fd(ends[0], &r), 0);
    check_eq(ouro_file_from_fd(ends[1], &w), 0);
    ouro_future *write = ouro_file_write(w, out, size, 0);
    check_eq(ouro_await(ouro_file_read_exact(r, in, size, 0)), (int64_t)size);
    check_eq(ouro_await(write), (int64_t)size);
    check(memcmp(in, out, size) == 0);
    close_file(r);
    close_file(w);
    free(in);
    free(out);
    return 0;
}

FileTest(file_control, devices_are_read_and_written)
{
    char buf[100];
    memset(buf, 1, sizeof(buf));
    ouro_file *f = open_file("/dev/zero", O_RDWR);
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), 100);
    check_eq(buf[99], 0);
    check_eq(ouro_await(ouro_file_write(f, buf, sizeof(buf), 0)), 100);
    close_file(f);
    f = open_file("/dev/full", O_WRONLY);
    check_eq(ouro_await(ouro_file_write(f, buf, sizeof(buf), 0)), -ENOSPC);
    close_file(f);
    return 0;
}

/* ---- Direct ---------------------------------------------------------------------------------- */

static ouro_file *open_direct(const char *path, int registered)
{
    int64_t rc;
    ouro_file *f = ouro_await_ptr(
        ouro_file_open(path, O_RDWR | O_CREAT,
                       &(ouro_file_options){.direct = 1, .registered = registered}),
        &rc);
    check(f || rc == -EINVAL); /* not on this file system */
    return f;
}

static void write_and_read(ouro_file *f, char *memory, size_t size)
{
    fill(memory, size);
    check_eq(ouro_await(ouro_file_write(f, memory, size, 4096)), (int64_t)size);
    memset(memory + size, 0, size);
    check_eq(ouro_await(ouro_file_read(f, memory + size, size, 4096)), (int64_t)size);
    check(memcmp(memory, memory + size, size) == 0);
}

FileTest(file_control, direct_transfers_are_aligned_or_refused)
{
    ouro_file *f = open_direct("f", 0);
    if (!f)
        return 0;
    ouro_stat st;
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    size_t size = (size_t)9 << 20; /* more than one operation takes */
    char *memory = ouro_aligned_alloc(4096, 2 * size);
    check_eq((uintptr_t)memory % 4096, 0);
    write_and_read(f, memory, size);
    check_eq(ouro_await(ouro_file_read(f, memory, size, (int64_t)size)), 4096);
    ouro_future *r = ouro_file_read_exact(f, memory, size, (int64_t)size);
    check_eq(ouro_await(ouro_ref(r)), -ENODATA);
    check_eq(ouro_file_moved(r), 4096);
    ouro_unref(r);
    if (st.direct_offset > 1)
        check_eq(ouro_await(ouro_file_read(f, memory, 4096, 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_truncate(f, 1000)), 0);
    check_eq(ouro_await(ouro_file_read_exact(f, memory, 4096, 0)), -ENODATA);
    ouro_aligned_free(memory);
    close_file(f);
    return 0;
}

/* A disk that is told of everything at the end of a turn has stood still until then. */
Test(file_control, what_a_disk_is_to_do_is_not_kept_until_the_turn_ends)
{
    go_to_folder("/var/tmp");
    struct fake *fake = begin_fake();
    int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
    if (fd < 0)
        cr_skip_test("no direct transfers here: %s", strerror(errno));
    ouro_file *f;
    check_eq(ouro_file_from_fd(fd, &f), 0);
    char *memory = ouro_aligned_alloc(4096, 4096);
    ouro_future *reads[6];
    for (int i = 0; i < 6; i++)
        reads[i] = ouro_file_read(f, memory, 4096, 4096 * i);
    check_eq(fake_logged(fake, IORING_OP_READ), 4);
    turn();
    check_eq(fake_logged(fake, IORING_OP_READ), 6);
    for (int i = 0; i < 6; i++)
        fake_finish(fake, IORING_OP_READ, 4096, 0);
    turn();
    for (int i = 0; i < 6; i++) {
        check_eq(ouro_future_result(reads[i]).n, 4096);
        ouro_unref(reads[i]);
    }
    ouro_aligned_free(memory);
    ouro_file_free(f);
    end();
    leave_folder();
}

FileTest(file_control, registered_memory_and_files_are_used_by_themselves)
{
    size_t size = (size_t)1 << 20;
    char *memory = ouro_aligned_alloc(4096, 2 * size);
    check_eq(ouro_file_register_memory(memory, 2 * size), 0);
    check_eq(ouro_file_register_memory(memory + size, size), -EBUSY);
    const struct ouro__files *files = ouro__files_of(ouro_loop_current());
    check_eq(ouro__lent_find(files, memory, 2 * size), 0);
    check_eq(ouro__lent_find(files, memory + 1, 2 * size), -1);
    check_eq(ouro__lent_find(files, memory - 1, 1), -1);
    ouro_file *f = open_direct("f", 1);
    if (f) {
        check_eq(f->slot, 0);
        write_and_read(f, memory, size);
        check_eq(ouro_file_unregister_memory(memory), 0);
        check_eq(ouro__lent_find(files, memory, 1), -1);
        write_and_read(f, memory, size);
        close_file(f);
        f = open_direct("f", 1);
        check_eq(f->slot, 0);
        check_eq(ouro_file_register_memory(memory, size), 0);
        close_file(f);
    }
    check_eq(ouro_file_unregister_memory(memory), 0);
    check_eq(ouro_file_unregister_memory(memory), -ENOENT);
    check_eq(ouro_file_unregister_memory(NULL), -ENOENT);
    check_eq(ouro_file_register_memory(NULL, 1), -EINVAL);
    check_eq(ouro_file_register_memory(memory, 0), -EINVAL);
    check_eq(ouro_file_register_memory(memory, (size_t)2 << 30), -EINVAL);
    ouro_aligned_free(memory);
    return 0;
}

/* More than there are places: the rest does without. */
FileTest(file_control, a_full_table_of_files_is_no_failure)
{
    ouro_file *files[70];
    int64_t rc;
    char c;
    close_file(file_with("f", "x"));
    for (int i = 0; i < 70; i++) {
        files[i] = ouro_await_ptr(
            ouro_file_open("f", O_RDONLY, &(ouro_file_options){.registered = 1}), &rc);
        check_eq(rc, 0);
        check_eq(ouro_await(ouro_file_read(files[i], &c, 1, 0)), 1);
        check_eq(ouro_await(ouro_file_fsync(files[i])), 0);
    }
    for (int i = 0; i < 70; i++)
        close_file(files[i]);
    return 0;
}

Test(file_control, aligned_memory_is_aligned)
{
    for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
        char *memory = ouro_aligned_alloc(alignment, 100);
        check(memory);
        check_eq((uintptr_t)memory % alignment, 0);
        memset(memory, 1, 100);
        ouro_aligned_free(memory);
    }
    check(!ouro_aligned_alloc(3, 100));
    check(!ouro_aligned_alloc(0, 100));
    check(!ouro_aligned_alloc(8, 0));
    check(!ouro_aligned_alloc(8, SIZE_MAX));
    ouro_aligned_free(NULL);
}

/* ---- Routes ---------------------------------------------------------------------------------- */

FileTest(file_control, small_cached_transfers_have_settled_when_they_return)
{
    char c;
    ouro_file_stats st;
    ouro_file *f = file_with("f", "x");
    ouro_yield();
    ouro_future *w = ouro_file_write(f, "y", 1, 0);
    check_eq(ouro_future_state(w), OURO_VALUE);
    check_eq(ouro_file_moved(w), 1);
    check_eq(ouro_await(w), 1);
    ouro_future *r = ouro_file_read(f, &c, 1, 0);
    check_eq(ouro_future_state(r), OURO_VALUE);
    check_eq(ouro_await(r), 1);
    check_eq(ouro_file_stats_get(&st), 0);
    check(st.at_once >= 3);
    check_eq(st.by_ring, 0);
    close_file(f);
    return 0;
}

/* Each of its writes waits for the disk. */
FileTest(file_control, what_is_written_through_goes_by_the_ring)
{
    const int ways[] = {O_SYNC, O_DSYNC};
    for (int i = 0; i < 2; i++) {
        ouro_file *f = open_file("f", O_RDWR | O_CREAT | ways[i]);
        ouro_future *w = ouro_file_write(f, "x", 1, 0);
        check_eq(ouro_future_state(w), OURO_PENDING);
        check_eq(ouro_await(w), 1);
        close_file(f);
    }
    return 0;
}

/* After a call that took long, others go through the ring for a while, and longer the next time. */
FileTest(file_control, a_stall_sends_what_follows_through_the_ring)
{
    struct ouro__files *files = ouro__files_of(ouro_loop_current());
    ouro_file_stats st;
    ouro_file *f = file_with("f", "x");
    ouro__call_took(files, ouro_now() - OURO_MS(100));
    check(ouro__calls_avoided(files));
    check_eq(ouro_await(ouro_file_write(f, "y", 1, 0)), 1);
    check_eq(ouro_file_stats_get(&st), 0);
    check_eq(st.stalls, 1);
    check_eq(st.by_ring, 1);
    ouro_ns first = files->avoided;
    check_eq(ouro_await(ouro_sleep(first + OURO_MS(1))), 0);
    check(!ouro__calls_avoided(files));
    check_eq(ouro_await(ouro_file_write(f, "z", 1, 0)), 1);
    check_eq(ouro_file_stats_get(&st), 0);
    check_eq(st.by_ring, 1);
    ouro__call_took(files, ouro_now() - OURO_MS(100));
    check_eq(files->avoided, 2 * first);
    for (int i = 0; i < 20; i++)
        ouro__call_took(files, ouro_now() - OURO_MS(100));
    check_eq(files->avoided, OURO_SEC(1));
    ouro__call_took(files, ouro_now());
    check_eq(files->stats.stalls, 22);
    check_contents("f", "z");
    close_file(f);
    return 0;
}

FileTest(file_control, a_file_is_known_by_its_file_system)
{
    struct statfs fs;
    ouro_file *f = file_with("f", "x");
    check_eq(fstatfs(ouro_file_fd(f), &fs), 0);
    check_eq(f->kind, fs.f_type == 0x01021994 ? OURO__FILE_MEMORY : OURO__FILE_LOCAL);
    close_file(f);
    f = open_file("/proc/self/status", O_RDONLY);
    ouro_stat st;
    check_eq(ouro_await(ouro_file_stat(f, &st)), 0);
    check_eq(f->kind, OURO__FILE_ELSEWHERE);
    close_file(f);
    return 0;
}

/* A file system that may have to ask somebody else: nothing is done in the call but reads that the
 * cache answers. */
FileTest(file_control, what_may_have_to_ask_a_server_is_left_to_the_ring_and_to_threads)
{
    char buf[16] = "";
    ouro_stat st;
    close_file(file_with("f", "one "));
    for (int i = 0; i < 2; i++) {
        ouro_file *f = open_file("f", O_RDWR);
        f->kind = OURO__FILE_ELSEWHERE;
        ouro_future *all[4] = {
            ouro_file_append(f, "two ", 4),
            ouro_file_append(f, "three", 5),
            ouro_file_stat(f, &st),
            ouro_file_fsync(f),
        };
        for (int k = 0; k < 4; k++)
            check_eq(ouro_future_state(all[k]), OURO_PENDING);
        if (i == 0)
            check_eq(ouro_cancel(all[0]), 1); /* which began to look for the end */
        check_eq(ouro_await(all[0]), i == 0 ? -OURO_ECHILDCANCELLED : 4);
        check_eq(ouro_await(all[1]), 5);
        check_eq(ouro_await(all[2]), 0);
        check_eq(ouro_await(all[3]), 0);
        ouro_future *closing = ouro_file_close(f);
        check_eq(ouro_future_state(closing), OURO_PENDING);
        check_eq(ouro_await(closing), 0);
        ouro_file_free(f);
    }
    check_contents("f", "one threetwo three");
    ouro_file *f = open_file("f", O_RDWR);
    f->kind = OURO__FILE_ELSEWHERE;
    check_eq(ouro_await(ouro_file_read(f, buf, 3, 0)), 3);
    ouro_future *a = ouro_file_append(f, "x", 1);
    check_eq(ouro_await(ouro_file_close(f)), 0);
    check_eq(ouro_await(a), -EBADF);
    ouro_file_free(f);
    return 0;
}

/* What is done again and again takes no memory from the allocator. */
FileTest(file_control, transfers_take_no_memory_in_the_long_run)
{
    if (HARNESS_ASAN)
        return 0; /* under which every object comes from the allocator */
    char buf[100];
    ouro_stat st;
    uint64_t before = 0;
    ouro_file *f = file_with("f", "x");
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            before = stats().allocations;
        check_eq(ouro_await(ouro_file_write(f, buf, sizeof(buf), 0)), 100);
        check_eq(ouro_await(ouro_file_append(f, buf, sizeof(buf))), 100);
        check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), 100);
        check_eq(ouro_await(ouro_file_fdatasync(f)), 0);
        check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 4096)), 0);
        check_eq(ouro_await(ouro_path_stat("f", &st, NULL)), 0);
        check_eq(ouro_await(ouro_path_rename("f", "f", NULL)), 0);
    }
    check_eq(stats().allocations, before);
    close_file(f);
    return 0;
}
