/* SPDX-License-Identifier: MIT */
/*
 * Names of operations and of set-up flags: the kernel's own, in small letters, indexed by number.
 */
#include "names.h"

#include "driver.h"

#include <stddef.h>

static const char *const ops[] = {
    "nop",
    "readv",
    "writev",
    "fsync",
    "read_fixed",
    "write_fixed",
    "poll_add",
    "poll_remove",
    "sync_file_range",
    "sendmsg",
    "recvmsg",
    "timeout",
    "timeout_remove",
    "accept",
    "async_cancel",
    "link_timeout",
    "connect",
    "fallocate",
    "openat",
    "close",
    "files_update",
    "statx",
    "read",
    "write",
    "fadvise",
    "madvise",
    "send",
    "recv",
    "openat2",
    "epoll_ctl",
    "splice",
    "provide_buffers",
    "remove_buffers",
    "tee",
    "shutdown",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "msg_ring",
    "fsetxattr",
    "setxattr",
    "fgetxattr",
    "getxattr",
    "socket",
    "uring_cmd",
    "send_zc",
    "sendmsg_zc",
    "read_multishot",
    "waitid",
    "futex_wait",
    "futex_wake",
    "futex_waitv",
    "fixed_fd_install",
    "ftruncate",
    "bind",
    "listen",
    "recv_zc",
    "epoll_wait",
    "readv_fixed",
    "writev_fixed",
    "pipe",
    "nop128",
    "uring_cmd128",
};

static const char *const setup_flags[] = {
    "iopoll",        "sqpoll",        "sq_aff",     "cqsize",
    "clamp",         "attach_wq",     "r_disabled", "submit_all",
    "coop_taskrun",  "taskrun_flag",  "sqe128",     "cqe32",
    "single_issuer", "defer_taskrun", "no_mmap",    "registered_fd_only",
    "no_sqarray",    "hybrid_iopoll", "cqe_mixed",  "sqe_mixed",
};

const char *ouro__op_name(unsigned op)
{
    return op < sizeof ops / sizeof ops[0] ? ops[op] : NULL;
}

const char *ouro__setup_flag_name(unsigned bit)
{
    return bit < sizeof setup_flags / sizeof setup_flags[0] ? setup_flags[bit] : NULL;
}
