/* SPDX-License-Identifier: MIT */
/*
 * Looking around: limits, sysctls, control groups, signs of a container.
 *
 * A process is in one control group, and every group above it limits it, too: the least counts.
 * Version 2 has one tree, version 1 a tree for each matter. A container may see its own group as
 * the root, or be told a path that it has no file of: what cannot be read does not count.
 */
#define _GNU_SOURCE 1

#include "surroundings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- Control groups -------------------------------------------------------------------------- */

/* The path of this process' group in @text, which is /proc/self/cgroup, cut off in place: a line is
 * ID:CONTROLLERS:PATH, without controllers in version 2. NULL when there is none. */
static char *path_in(char *text, const char *controller)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path = '\0';
        if (strcmp(controllers + 1, controller) == 0)
            return path + 1;
    }
    return NULL;
}

static uint64_t number_or_max(const char *text)
{
    return strncmp(text, "max", 3) == 0 ? OURO__UNLIMITED : strtoull(text, NULL, 10);
}

/* The least that @file says in the group at @path and in those above, 0 when none says anything. */
static uint64_t least(const char *root, const char *tree, char *path, const char *file)
{
    uint64_t value = 0;
    if (strcmp(path, "/") == 0)
        *path = '\0';
    for (;;) {
        char name[512];
        char text[32];
        snprintf(name, sizeof name, "%s%s/%s", tree, path, file);
        if (ouro__machine_read(root, name, text, sizeof text)) {
            uint64_t here = number_or_max(text);
            value = value && value < here ? value : here;
        }
        char *end = strrchr(path, '/');
        if (!end)
            return value;
        *end = '\0';
    }
}

/* The limit of the control groups, by the names of both versions. */
static uint64_t group_limit(const char *root, const char *controller, const char *file,
                            const char *old_file)
{
    char text[4096];
    char tree[64] = "/sys/fs/cgroup";
    uint64_t value = 0;
    char *path = NULL;
    if (ouro__machine_read(root, "/proc/self/cgroup", text, sizeof text))
        path = path_in(text, "");
    if (path)
        value = least(root, tree, path, file);
    if (value || !ouro__machine_read(root, "/proc/self/cgroup", text, sizeof text))
        return value;
    path = path_in(text, controller);
    snprintf(tree, sizeof tree, "/sys/fs/cgroup/%s", controller);
    value = path ? least(root, tree, path, old_file) : 0;
    return value >= INT64_MAX / 2 ? OURO__UNLIMITED : value; /* version 1 has no word for that */
}

/* ---- Containers ------------------------------------------------------------------------------ */

static bool there_is(const char *root, const char *path)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    return access(whole, F_OK) == 0;
}

/* Each leaves a sign of its own; /run/systemd/container and the environment of the first process
 * name those that have none. */
static void find_container(const char *root, char *ret, size_t size)
{
    static const char key[] = "container=";
    char text[4096];
    ret[0] = '\0';
    if (there_is(root, "/run/.containerenv"))
        snprintf(ret, size, "podman");
    else if (there_is(root, "/var/run/secrets/kubernetes.io"))
        snprintf(ret, size, "kubernetes");
    else if (there_is(root, "/.dockerenv"))
        snprintf(ret, size, "docker");
    else if (ouro__machine_read(root, "/run/systemd/container", text, sizeof text))
        snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
    else if (ouro__machine_read(root, "/proc/1/environ", text, sizeof text))
        for (const char *p = text; *p; p += strlen(p) + 1)
            if (strncmp(p, key, sizeof key - 1) == 0)
                snprintf(ret, size, "%s", p + sizeof key - 1);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static uint64_t limit_of(__rlimit_resource_t resource, bool hard)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return OURO__UNLIMITED;
    rlim_t value = hard ? limit.rlim_max : limit.rlim_cur;
    return value == RLIM_INFINITY ? OURO__UNLIMITED : value;
}

void ouro__surroundings_look(struct ouro__surroundings *ret, const char *root)
{
    find_container(root, ret->container, sizeof ret->container);
    ret->descriptors_most = limit_of(RLIMIT_NOFILE, true);
    ret->processes = limit_of(RLIMIT_NPROC, false);
    ret->threads_of_system = (uint64_t)ouro__machine_number(root, "/proc/sys/kernel/threads-max",
                                                            0);
    ret->threads_of_group = group_limit(root, "pids", "pids.max", "pids.max");
    ret->memory_of_group = group_limit(root, "memory", "memory.max", "memory.limit_in_bytes");
    ret->listen_queue = (uint64_t)ouro__machine_number(root, "/proc/sys/net/core/somaxconn", 0);
}
