/* SPDX-License-Identifier: MIT */
#ifndef OURO_FOLDER_H
#define OURO_FOLDER_H

/*
 * A folder for a test to work in, which is empty at the beginning and gone at the end.
 */

#include <stdbool.h>

/* Make one in @where and go there: relative paths start from it. */
void go_to_folder(const char *where);

/* Remove it, with all that is in it. */
void leave_folder(void);

/* A file system of @size bytes on the folder "small" in it. False: this user may not have one, which
 * is said. */
bool mount_small(const char *size);
void unmount_small(void);

#endif
