/* SPDX-License-Identifier: MIT */
#ifndef OURO_FRESH_H
#define OURO_FRESH_H

/*
 * Files that have no lasting name yet. All calls block: they are for jobs of the disk lane.
 */

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Where a name is, or will be. */
struct ouro__place {
    int folder; /* O_PATH if it may not be read */
    const char *name;
};

/* Split @path, which is borrowed, and open its folder. 0, or an error and nothing is open: -EISDIR,
 * no file can have that name. */
int ouro__place_open(struct ouro__place *place, const char *path);
void ouro__place_close(struct ouro__place *place);

/* A new file. */
struct ouro__fresh {
    int folder; /* that it was made in; borrowed */
    int fd;
    char name[NAME_MAX + 1]; /* empty: none, and it vanishes with fd */
};

/* A file without a name in @folder, where the file system has such; else, or if @named, one with a
 * name that nobody else has. @mode is less the umask. */
int ouro__fresh_open(struct ouro__fresh *fresh, int folder, mode_t mode);
int ouro__fresh_open_named(struct ouro__fresh *fresh, int folder, mode_t mode, const char *prefix,
                           const char *suffix);

/* Give it the name of @place, in the same file system: 0, or an error and it is as before. Nobody
 * sees @place without a file if there was one. -EEXIST: @exclusive, and something has that name. */
int ouro__fresh_keep(struct ouro__fresh *fresh, const struct ouro__place *place, bool exclusive);

/* Remove and close it, unless that has been done or it was kept. */
void ouro__fresh_drop(struct ouro__fresh *fresh);

/* A name that nobody has guessed. @size is that of @name; false: too long. */
bool ouro__random_name(char *name, size_t size, const char *prefix, const char *suffix);

/* Write @size bytes at the cursor of @fd, in slices: 0, -ECANCELED or -errno. */
int ouro__write_all(int fd, const void *data, size_t size);

/* Have what @folder, of a place, lists be on the disk; @fd is the file that it is about. */
int ouro__sync_folder(int folder, int fd);

#endif
