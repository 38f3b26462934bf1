/* SPDX-License-Identifier: MIT */
/*
 * What is done to a file as a whole: sync, ask, resize, advise.
 *
 * Each is one operation of the ring, but for what is cheaper on the spot and cannot wait there: see
 * route.c. It fails with the kernel's error.
 */
#include "file_int.h"

#include <unistd.h>

/* A request about @file, or NULL and why not. */
static struct ouro__request *request(ouro_file *file, const char *verb, int *ret_rc)
{
    ouro_loop *loop;
    *ret_rc = ouro__file_check(file, &loop);
    if (*ret_rc < 0)
        return NULL;
    struct ouro__request *r = ouro__request_new(loop, file);
    *ret_rc = r ? 0 : -ENOMEM;
    if (r)
        r->verb = verb;
    return r;
}

/* The same, with @sqe aimed at the file. */
static ouro_future *go(ouro_file *file, const char *verb, const struct io_uring_sqe *sqe)
{
    int rc;
    struct ouro__request *r = request(file, verb, &rc);
    if (!r)
        return ouro__failed(rc);
    r->w.op.sqe = *sqe;
    ouro__file_aim(file, &r->w.op.sqe);
    return ouro__request_start(r);
}

/* Whether what costs no more than a small copy may be done in the call. */
static bool now(ouro_file *file, enum ouro__route (*route)(ouro_file *file))
{
    ouro_loop *loop;
    if (ouro__file_check(file, &loop) < 0 || route(file) != OURO__AT_ONCE)
        return false;
    struct ouro__files *files = ouro__files_of(loop);
    if (!ouro__turn_has_time(files))
        return false;
    ouro__turn_spend(files, OURO__CALL_BYTES);
    return true;
}

static ouro_future *answer(int rc)
{
    return ouro_ready(rc < 0 ? -errno : rc);
}

/* ---- Sync ------------------------------------------------------------------------------------ */

static ouro_future *sync_with(ouro_file *f, const char *verb, unsigned flags)
{
    if (now(f, ouro__route_sync))
        return answer(flags ? fdatasync(f->fd) : fsync(f->fd));
    return go(f, verb, &(struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fsync_flags = flags});
}

ouro_future *ouro_file_fsync(ouro_file *f)
{
    return sync_with(f, "fsync", 0);
}

ouro_future *ouro_file_fdatasync(ouro_file *f)
{
    return sync_with(f, "fdatasync", IORING_FSYNC_DATASYNC);
}

static int64_t sync_range(struct ouro__chore *c)
{
    return sync_file_range(c->fd, c->offset, c->length, (unsigned)c->number) < 0 ? -errno : 0;
}

ouro_future *ouro_file_sync_range(ouro_file *f, int64_t offset, int64_t length, unsigned flags)
{
    if (offset < 0 || length < 0 || offset > INT64_MAX - length)
        return ouro__failed(-EINVAL);
    if (length > UINT32_MAX) /* the ring takes no more */
        return ouro__chore_start(f, &(struct ouro__chore){.fn = sync_range,
                                                          .verb = "sync of a range",
                                                          .offset = offset,
                                                          .length = length,
                                                          .number = (int)flags});
    return go(f, "sync of a range",
              &(struct io_uring_sqe){
                  .opcode = IORING_OP_SYNC_FILE_RANGE,
                  .off = (uint64_t)offset,
                  .len = (uint32_t)length,
                  .sync_range_flags = flags,
              });
}

/* ---- Ask ------------------------------------------------------------------------------------- */

ouro_future *ouro_file_stat(ouro_file *f, ouro_stat *ret_stat)
{
    if (!ret_stat)
        return ouro__failed(-EINVAL);
    if (now(f, ouro__route_stat)) {
        int rc = statx(f->fd, "", AT_EMPTY_PATH, OURO__STAT_MASK, (struct statx *)(void *)ret_stat);
        if (rc == 0)
            ouro__stat_convert(ret_stat);
        return answer(rc);
    }
    int rc;
    struct ouro__request *r = request(f, "stat", &rc);
    if (!r)
        return ouro__failed(rc);
    r->ret_stat = ret_stat;
    r->w.op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_STATX,
        .fd = f->fd, /* which cannot be a place in the table here */
        .addr = (uintptr_t) "",
        .len = OURO__STAT_MASK,
        .off = (uintptr_t)ret_stat,
        .statx_flags = AT_EMPTY_PATH,
    };
    return ouro__request_start(r);
}

/* ---- Size ------------------------------------------------------------------------------------ */

static int64_t truncate_file(struct ouro__chore *c)
{
    return ftruncate(c->fd, c->length) < 0 ? -errno : 0;
}

/* The ring has this since Linux 6.9, and hands it to a thread all the same. */
ouro_future *ouro_file_truncate(ouro_file *f, int64_t length)
{
    if (!f || length < 0)
        return ouro__failed(-EINVAL);
    return ouro__chore_start(
        f, &(struct ouro__chore){.fn = truncate_file, .verb = "truncation", .length = length});
}

ouro_future *ouro_file_allocate(ouro_file *f, int mode, int64_t offset, int64_t length)
{
    if (offset < 0 || length <= 0 || offset > INT64_MAX - length || mode < 0)
        return ouro__failed(-EINVAL);
    return go(f, "allocation",
              &(struct io_uring_sqe){
                  .opcode = IORING_OP_FALLOCATE,
                  .off = (uint64_t)offset,
                  .addr = (uint64_t)length,
                  .len = (uint32_t)mode,
              });
}

/* ---- Advise ---------------------------------------------------------------------------------- */

static int64_t advise(struct ouro__chore *c)
{
    return -posix_fadvise(c->fd, c->offset, c->length, c->number);
}

static int advice_number(ouro_advice advice)
{
    static const int numbers[] = {POSIX_FADV_NORMAL,   POSIX_FADV_RANDOM,   POSIX_FADV_SEQUENTIAL,
                                  POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
    return advice <= OURO_ADVICE_NOREUSE ? numbers[advice] : -1;
}

ouro_future *ouro_file_advise(ouro_file *f, int64_t offset, int64_t length, ouro_advice advice)
{
    ouro_loop *loop;
    int number = advice_number(advice);
    if (offset < 0 || length < 0 || offset > INT64_MAX - length || number < 0)
        return ouro__failed(-EINVAL);
    int rc = ouro__file_check(f, &loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__chore chore = {
        .fn = advise,
        .verb = "advice",
        .fd = f->fd,
        .offset = offset,
        .length = length,
        .number = number,
    };
    if (advice != OURO_ADVICE_WILLNEED && advice != OURO_ADVICE_DONTNEED)
        return ouro_ready(advise(&chore)); /* no more than a mark on the handle */
    if (length > UINT32_MAX)
        return ouro__chore_start(f, &chore);
    return go(f, "advice",
              &(struct io_uring_sqe){
                  .opcode = IORING_OP_FADVISE,
                  .off = (uint64_t)offset,
                  .len = (uint32_t)length,
                  .fadvise_advice = (uint32_t)number,
              });
}
