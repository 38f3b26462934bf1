/* SPDX-License-Identifier: MIT */
#ifndef OURO_NAMES_H
#define OURO_NAMES_H

/*
 * Names of the kernel's numbers, NULL for those we have not heard of. That of an operation is in
 * driver.h.
 */

/* Of the flag 1u << bit, IORING_SETUP_*. */
const char *ouro__setup_flag_name(unsigned bit);

#endif
