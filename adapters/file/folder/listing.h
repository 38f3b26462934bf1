/* SPDX-License-Identifier: MIT */
#ifndef OURO_LISTING_H
#define OURO_LISTING_H

/*
 * The names in a folder, read into memory. All calls are for jobs of the disk lane.
 */

#include <stdbool.h>
#include <stddef.h>

#include <ouro/dir.h>

/* Bytes that grow. */
struct ouro__text {
    char *bytes;
    size_t used;
    size_t size;
};

/* Room for @size bytes more behind those that are used; false: no memory. */
bool ouro__text_reserve(struct ouro__text *text, size_t size);

struct ouro__names {
    ouro_entry *list;
    size_t count;
    size_t capacity;
    struct ouro__text text; /* what the names point into */
};

/* Read names from the folder @fd, until about @bytes have come. 1: there are more; 0: that was all;
 * -errno, and what was read is in @names, too, and to be dropped. */
int ouro__names_read(struct ouro__names *names, int fd, size_t bytes);

/* By strcmp(3). */
void ouro__names_sort(struct ouro__names *names);

void ouro__names_drop(struct ouro__names *names);

/* What @name in the folder @fd is. */
ouro_entry_type ouro__entry_type(int fd, const char *name, bool follow);

#endif
