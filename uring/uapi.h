/* SPDX-License-Identifier: MIT */
#ifndef OURO_UAPI_H
#define OURO_UAPI_H

/*
 * Numbers of the kernel's interface that are younger than the oldest liburing we build with.
 *
 * Much of the original is enum constants, which #ifdef cannot see: so all of them have names of our
 * own here, and mean the same whatever headers are installed. The comment names the first kernel.
 */

/* io_uring_params.features */
#define OURO__FEAT_RECVSEND_BUNDLE (1u << 14) /* 6.10 */
#define OURO__FEAT_MIN_TIMEOUT     (1u << 15) /* 6.12 */
#define OURO__FEAT_NO_IOWAIT       (1u << 17) /* 6.15 */

/* Flags of io_uring_enter(2) */
#define OURO__ENTER_ABS_TIMER (1u << 5) /* 6.12 */
#define OURO__ENTER_NO_IOWAIT (1u << 7) /* 6.15 */

/* Opcodes of io_uring_register(2) */
#define OURO__REGISTER_SEND_MSG_RING 31u /* 6.13 */
#define OURO__REGISTER_RESIZE_RINGS  33u /* 6.13 */

/* Operations */
#define OURO__OP_READ_MULTISHOT   49u /* 6.7 */
#define OURO__OP_WAITID           50u /* 6.7 */
#define OURO__OP_FUTEX_WAIT       51u /* 6.7 */
#define OURO__OP_FIXED_FD_INSTALL 54u /* 6.8 */
#define OURO__OP_FTRUNCATE        55u /* 6.9 */
#define OURO__OP_LISTEN           57u /* 6.11 */
#define OURO__OP_PIPE             62u /* 6.16 */

/* Advice for madvise(2): guard pages that do not split the map. */
#define OURO__MADV_GUARD_INSTALL 102 /* 6.13 */

#endif
