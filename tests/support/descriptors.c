/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "descriptors.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(int holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

bool may_open(unsigned n)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    return limit.rlim_cur >= n;
}

int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    must(dir != NULL, "/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

void tcp_ends(int ends[2])
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, (struct sockaddr *)&here, size) == 0, "bind");
    must(listen(listener, 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&here, &size) == 0, "getsockname");
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(ends[0], (struct sockaddr *)&here, size) == 0, "connect");
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(ends[1] >= 0, "accept");
    close(listener);
}
