/* SPDX-License-Identifier: MIT */
/*
 * The names in a folder.
 *
 * Happy path: getdents64(2) into a buffer on the stack, the names into one text, their entries into
 * one list. While the text grows it moves, so the entries have offsets in place of pointers until
 * the end. How it fails: no memory, or the errno of the call.
 */
#include "listing.h"

#include "memory_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK ((size_t)32 << 10) /* what the C library reads at once, too */

bool ouro__text_reserve(struct ouro__text *text, size_t size)
{
    if (text->size - text->used >= size)
        return true;
    size_t wanted = text->size ? text->size : 1024;
    while (wanted - text->used < size)
        wanted *= 2;
    char *bytes = ouro__resize(text->bytes, wanted);
    if (!bytes)
        return false;
    text->bytes = bytes;
    text->size = wanted;
    return true;
}

static ouro_entry_type type_of_mode(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return OURO_ENTRY_FILE;
    case S_IFDIR:
        return OURO_ENTRY_FOLDER;
    case S_IFLNK:
        return OURO_ENTRY_LINK;
    case S_IFIFO:
        return OURO_ENTRY_FIFO;
    case S_IFSOCK:
        return OURO_ENTRY_SOCKET;
    case S_IFCHR:
        return OURO_ENTRY_CHAR_DEVICE;
    case S_IFBLK:
        return OURO_ENTRY_BLOCK_DEVICE;
    default:
        return OURO_ENTRY_UNKNOWN;
    }
}

ouro_entry_type ouro__entry_type(int fd, const char *name, bool follow)
{
    struct stat st;
    int flags = (follow ? 0 : AT_SYMLINK_NOFOLLOW) | AT_NO_AUTOMOUNT;
    return fstatat(fd, name, &st, flags) < 0 ? OURO_ENTRY_UNKNOWN : type_of_mode(st.st_mode);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static bool grow_list(struct ouro__names *names)
{
    if (names->count < names->capacity)
        return true;
    size_t capacity = names->capacity ? names->capacity * 2 : 64;
    ouro_entry *list = ouro__resize(names->list, capacity * sizeof(*list));
    if (!list)
        return false;
    names->list = list;
    names->capacity = capacity;
    return true;
}

static int add(struct ouro__names *names, int fd, const struct dirent64 *d)
{
    size_t size = strlen(d->d_name) + 1;
    if (!grow_list(names) || !ouro__text_reserve(&names->text, size))
        return -ENOMEM;
    ouro_entry_type type = type_of_mode((mode_t)DTTOIF(d->d_type));
    if (type == OURO_ENTRY_UNKNOWN) /* there are file systems that do not tell */
        type = ouro__entry_type(fd, d->d_name, false);
    names->list[names->count++] = (ouro_entry){
        .name = (const char *)(uintptr_t)names->text.used, /* an offset as yet */
        .inode = d->d_ino,
        .type = type,
    };
    memcpy(names->text.bytes + names->text.used, d->d_name, size);
    names->text.used += size;
    return 0;
}

/* One call of the kernel. How many bytes it gave, 0 at the end, or an error. */
static int read_chunk(struct ouro__names *names, int fd)
{
    _Alignas(struct dirent64) char buffer[CHUNK];
    long n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
    if (n < 0)
        return -errno;
    for (long at = 0; at < n;) {
        const struct dirent64 *d = (const struct dirent64 *)(void *)(buffer + at);
        int rc = is_dots(d->d_name) ? 0 : add(names, fd, d);
        if (rc < 0)
            return rc;
        at += d->d_reclen;
    }
    return (int)n;
}

static void point_to_text(struct ouro__names *names)
{
    for (size_t i = 0; i < names->count; i++)
        names->list[i].name = names->text.bytes + (uintptr_t)names->list[i].name;
}

int ouro__names_read(struct ouro__names *names, int fd, size_t bytes)
{
    size_t seen = 0;
    int n = 1;
    while (n > 0 && seen < bytes) {
        n = read_chunk(names, fd);
        seen += n > 0 ? (size_t)n : 0;
    }
    point_to_text(names);
    return n > 0 ? 1 : n;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const ouro_entry *)a)->name, ((const ouro_entry *)b)->name);
}

void ouro__names_sort(struct ouro__names *names)
{
    if (names->count)
        qsort(names->list, names->count, sizeof(*names->list), compare);
}

void ouro__names_drop(struct ouro__names *names)
{
    ouro__release(names->list);
    ouro__release(names->text.bytes);
    *names = (struct ouro__names){0};
}
