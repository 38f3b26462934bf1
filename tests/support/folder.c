/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char made[128]; /* a test has one at a time */

void go_to_folder(const char *where)
{
    snprintf(made, sizeof made, "%s/ouro-test-XXXXXX", where);
    check(mkdtemp(made) != NULL);
    check_eq(chdir(made), 0);
}

void leave_folder(void)
{
    char command[160];
    check_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", made);
    check_eq(system(command), 0);
}

bool mount_small(const char *size)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s", size);
    check_eq(mkdir("small", 0755), 0);
    if (mount("tmpfs", "small", "tmpfs", 0, options) == 0)
        return true;
    fprintf(stderr, "skipped: cannot mount a small file system: %s\n", strerror(errno));
    return false;
}

void unmount_small(void)
{
    check_eq(umount("small"), 0);
}
