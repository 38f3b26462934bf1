/* SPDX-License-Identifier: MIT */
/*
 * Files that have no lasting name yet.
 *
 * Happy path: a file without a name is opened in the folder (O_TMPFILE), filled by the caller, and
 * linked to its place. Where something has that name, it is linked to a name of its own first and
 * then renamed, which replaces in one step. So before its last moment there is nothing that a crash
 * could leave behind.
 *
 * Where the file system has no such files, it has a name of its own from the start. How it fails:
 * with the errno of the step; what has no lasting name is unlinked by ouro__fresh_drop(), which
 * cannot fail in a way that anybody could do something about.
 */
#include "fresh.h"

#include "disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define OWN_PREFIX     ".ouro-"
#define RANDOM_LETTERS 12 /* of 32: 60 bits */
#define TRIES          100

/* ---- Places ---------------------------------------------------------------------------------- */

static bool is_file_name(const char *name)
{
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* One that may be searched and written, but not read, cannot be opened for its fsync(2). */
static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 && errno == EACCES ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
}

int ouro__place_open(struct ouro__place *place, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = (size_t)(name - path);
    if (!*path)
        return -ENOENT;
    if (!is_file_name(name))
        return -EISDIR;
    if (length >= sizeof(folder) || strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(folder, path, length);
    folder[length] = '\0';
    place->name = name;
    place->folder = open_folder(length ? folder : ".");
    return place->folder < 0 ? -errno : 0;
}

void ouro__place_close(struct ouro__place *place)
{
    ouro__disk_close(&place->folder);
}

/* ---- Making ---------------------------------------------------------------------------------- */

bool ouro__random_name(char *name, size_t size, const char *prefix, const char *suffix)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char noise[RANDOM_LETTERS] = {0};
    char text[RANDOM_LETTERS + 1] = "";
    /* Before the pool of randomness is ready there is nobody who could guess; and it is only for a
     * name, which is tried again if somebody has it. */
    if (getrandom(noise, sizeof(noise), GRND_NONBLOCK) < 0)
        noise[0] = (unsigned char)getpid();
    for (size_t i = 0; i < RANDOM_LETTERS; i++)
        text[i] = letters[noise[i] % (sizeof(letters) - 1)];
    int length = snprintf(name, size, "%s%s%s", prefix, text, suffix);
    return length >= 0 && (size_t)length < size;
}

int ouro__fresh_open_named(struct ouro__fresh *fresh, int folder, mode_t mode, const char *prefix,
                           const char *suffix)
{
    fresh->folder = folder;
    for (int i = 0; i < TRIES; i++) {
        if (!ouro__random_name(fresh->name, sizeof(fresh->name), prefix, suffix))
            break;
        fresh->fd = openat(folder, fresh->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                           mode);
        if (fresh->fd >= 0)
            return 0;
        if (errno != EEXIST) {
            fresh->name[0] = '\0';
            return -errno;
        }
    }
    fresh->name[0] = '\0';
    fresh->fd = -1;
    return strlen(prefix) + strlen(suffix) + RANDOM_LETTERS > NAME_MAX ? -ENAMETOOLONG : -EEXIST;
}

int ouro__fresh_open(struct ouro__fresh *fresh, int folder, mode_t mode)
{
    *fresh = (struct ouro__fresh){.folder = folder};
    fresh->fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (fresh->fd >= 0)
        return 0;
    /* What says that there are no such files, by the age of kernel and file system. */
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -errno;
    return ouro__fresh_open_named(fresh, folder, mode, OWN_PREFIX, "");
}

/* ---- Keeping --------------------------------------------------------------------------------- */

/* Give the file itself a name: by its descriptor, which older kernels allow only to root, or by way
 * of /proc. */
static int link_to(int fd, int folder, const char *name)
{
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
    if (linkat(fd, "", folder, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* A name of its own in the folder that it is to be kept in. */
static int link_anywhere(struct ouro__fresh *fresh, int folder)
{
    int rc = -EEXIST;
    for (int i = 0; i < TRIES && rc == -EEXIST; i++) {
        ouro__random_name(fresh->name, sizeof(fresh->name), OWN_PREFIX, "");
        rc = link_to(fresh->fd, folder, fresh->name);
    }
    if (rc < 0)
        fresh->name[0] = '\0';
    return rc;
}

/* Rename, but only to a name that nobody has. */
static int rename_exclusively(const struct ouro__fresh *fresh, const struct ouro__place *place)
{
    if (renameat2(fresh->folder, fresh->name, place->folder, place->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(fresh->folder, fresh->name, place->folder, place->name, 0) < 0)
        return -errno;
    unlinkat(fresh->folder, fresh->name, 0);
    return 0;
}

static int keep_named(struct ouro__fresh *fresh, const struct ouro__place *place, bool exclusive)
{
    int rc;
    if (exclusive)
        rc = rename_exclusively(fresh, place);
    else
        rc = renameat(fresh->folder, fresh->name, place->folder, place->name) < 0 ? -errno : 0;
    if (rc == 0)
        fresh->name[0] = '\0';
    return rc;
}

int ouro__fresh_keep(struct ouro__fresh *fresh, const struct ouro__place *place, bool exclusive)
{
    if (fresh->name[0])
        return keep_named(fresh, place, exclusive);
    int rc = link_to(fresh->fd, place->folder, place->name);
    if (rc != -EEXIST || exclusive)
        return rc;
    int made_in = fresh->folder;
    rc = link_anywhere(fresh, place->folder);
    if (rc < 0)
        return rc;
    fresh->folder = place->folder;
    rc = keep_named(fresh, place, false);
    if (rc < 0)
        unlinkat(place->folder, fresh->name, 0);
    fresh->name[0] = '\0';
    fresh->folder = made_in;
    return rc;
}

void ouro__fresh_drop(struct ouro__fresh *fresh)
{
    if (fresh->name[0])
        unlinkat(fresh->folder, fresh->name, 0);
    fresh->name[0] = '\0';
    ouro__disk_close(&fresh->fd);
}

/* ---- Filling --------------------------------------------------------------------------------- */

int ouro__write_all(int fd, const void *data, size_t size)
{
    const char *bytes = data;
    while (size > 0) {
        if (ouro_job_cancelled())
            return -ECANCELED;
        ssize_t n = write(fd, bytes, size < OURO__JOB_SLICE ? size : OURO__JOB_SLICE);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Of a folder that could not be opened for that, the file's has the journal written, in which its
 * name is, too. */
int ouro__sync_folder(int folder, int fd)
{
    int rc = fsync(folder);
    if (rc < 0 && errno == EBADF)
        rc = fsync(fd);
    return rc < 0 ? -errno : 0;
}
