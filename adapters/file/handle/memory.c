/* SPDX-License-Identifier: MIT */
/*
 * Memory for direct transfers, and what is registered with the ring: memory and files.
 *
 * Both tables of the ring are made empty when first asked for, and entered one by one. A transfer
 * that lies within registered memory, or whose file has a place in the table, uses that; nothing
 * else changes, and where the ring has no tables nothing is lost but the shortcut.
 */
#include "file_int.h"

#include <stdlib.h>

#include <ouro/memory.h>

#define SLOTS    64                /* of the table of files: the bits of `slots` */
#define LENT_MAX ((size_t)1 << 30) /* of one buffer: IO_MAX_BUFFER of the kernel */

/* ---- Aligned memory -------------------------------------------------------------------------- */

void *ouro_aligned_alloc(size_t alignment, size_t size)
{
    bool sensible = alignment && (alignment & (alignment - 1)) == 0 && size;
    if (!sensible || alignment > SIZE_MAX / 4 || size > SIZE_MAX / 4)
        return NULL;
    /* Where it really begins is kept in front of it. */
    size_t front = alignment > sizeof(void *) ? alignment : sizeof(void *);
    char *whole = ouro__alloc(front + alignment + size);
    if (!whole)
        return NULL;
    uintptr_t at = ((uintptr_t)whole + sizeof(void *) + alignment - 1) & ~(alignment - 1);
    char *memory = whole + (at - (uintptr_t)whole);
    ((void **)(void *)memory)[-1] = whole;
    return memory;
}

void ouro_aligned_free(void *memory)
{
    if (memory)
        ouro__release(((void **)memory)[-1]);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static int enroll(ouro_loop *loop, unsigned opcode, const void *arg, unsigned count)
{
    struct ouro__driver *d = loop->driver;
    return d->ops->enroll(d, opcode, arg, count);
}

/* Have an empty table of @count entries; @has remembers whether there is one. */
static int make_table(ouro_loop *loop, unsigned opcode, unsigned count, int *has)
{
    struct io_uring_rsrc_register reg = {.nr = count, .flags = IORING_RSRC_REGISTER_SPARSE};
    if (*has)
        return *has > 0 ? 0 : -ENOSYS;
    int rc = enroll(loop, opcode, &reg, sizeof(reg));
    if (rc == -ENOMEM)
        return rc;
    *has = rc < 0 ? -1 : 1;
    return rc;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int set_slot(struct ouro__files *files, int slot, int fd)
{
    struct io_uring_files_update update = {.offset = (uint32_t)slot, .fds = (uintptr_t)&fd};
    int rc = enroll(files->loop, IORING_REGISTER_FILES_UPDATE, &update, 1);
    return rc < 0 ? rc : 0;
}

int ouro__slot_take(struct ouro__files *files, int fd)
{
    if (files->slots == UINT64_MAX ||
        make_table(files->loop, IORING_REGISTER_FILES2, SLOTS, &files->has_table) < 0)
        return -1;
    int slot = __builtin_ctzll(~files->slots);
    if (set_slot(files, slot, fd) < 0)
        return -1;
    files->slots |= UINT64_C(1) << slot;
    return slot;
}

void ouro__slot_give(struct ouro__files *files, int slot)
{
    set_slot(files, slot, -1);
    files->slots &= ~(UINT64_C(1) << slot);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static int set_lent(ouro_loop *loop, unsigned place, void *base, size_t size)
{
    struct iovec iov = {base, size};
    struct io_uring_rsrc_update2 update = {
        .offset = place,
        .data = (uintptr_t)&iov,
        .nr = 1,
    };
    int rc = enroll(loop, IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update));
    return rc < 0 ? rc : 0;
}

int ouro__lent_find(const struct ouro__files *files, const void *memory, size_t size)
{
    const char *from = memory;
    unsigned left = files->lent_count;
    for (int i = 0; left; i++) {
        const struct ouro__lent *l = &files->lent[i];
        if (!l->base)
            continue;
        left--;
        if (from >= l->base && size <= l->size && (size_t)(from - l->base) <= l->size - size)
            return i;
    }
    return -1;
}

static bool overlaps(const struct ouro__lent *l, const char *base, size_t size)
{
    return l->base && base < l->base + l->size && l->base < base + size;
}

/* A free place for it, or why there is none. */
static int find_place(const struct ouro__files *files, const char *base, size_t size)
{
    int place = -ENOSPC;
    for (int i = OURO__LENT_MAX; i-- > 0;) {
        if (overlaps(&files->lent[i], base, size))
            return -EBUSY;
        if (!files->lent[i].base)
            place = i;
    }
    return place;
}

int ouro_file_register_memory(void *memory, size_t size)
{
    ouro_loop *loop;
    int rc = memory && size && size <= LENT_MAX ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct ouro__files *files = ouro__files_of(loop);
    int place = find_place(files, memory, size);
    if (place < 0)
        return place;
    rc = make_table(loop, IORING_REGISTER_BUFFERS2, OURO__LENT_MAX, &files->has_buffers);
    if (rc == 0)
        rc = set_lent(loop, (unsigned)place, memory, size);
    if (rc < 0)
        return rc;
    files->lent[place] = (struct ouro__lent){memory, size};
    files->lent_count++;
    return 0;
}

int ouro_file_unregister_memory(void *memory)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    struct ouro__files *files = ouro__files_of(loop);
    for (unsigned i = 0; memory && i < OURO__LENT_MAX; i++) {
        if (files->lent[i].base != memory)
            continue;
        set_lent(loop, i, NULL, 0);
        files->lent[i].base = NULL;
        files->lent_count--;
        return 0;
    }
    return -ENOENT;
}
