/* SPDX-License-Identifier: MIT */
/* To come. */
extern int ouro__soon;
