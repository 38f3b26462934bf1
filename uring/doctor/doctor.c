/* SPDX-License-Identifier: MIT */
/*
 * ouro-doctor: whether ouro can run here, how well, and what would help.
 *
 * It looks at the machine, makes a ring the way a loop would, tries the newer features, and prints
 * what it found: in sections for people, as JSON for scripts, or not at all, since the exit status
 * tells the most of it.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 256u /* what a loop asks for by default */

/* Where liburing was loaded from, which names its version; "" when it is linked in. */
static void find_liburing(char ret[PATH_MAX])
{
    union {
        int (*call)(unsigned, struct io_uring *, struct io_uring_params *);
        void *address;
    } it = {.call = io_uring_queue_init_params};
    Dl_info info;
    if (!dladdr(it.address, &info) || !realpath(info.dli_fname, ret) || !strstr(ret, "liburing"))
        ret[0] = '\0';
}

static void usage(FILE *to)
{
    fputs("usage: ouro-doctor [OPTION]\n"
          "\n"
          "Says what this machine allows, what ouro will use of it, and what to change.\n"
          "\n"
          "  -q, --quiet            print nothing, the exit status is the answer\n"
          "  -j, --json             print one JSON object, for scripts\n"
          "  -s, --sysroot FOLDER   read what is in /proc and /sys there\n"
          "  -h, --help             print this\n"
          "\n"
          "Exit status:\n"
          "  0  ouro runs here, with all that it can use\n"
          "  1  ouro runs here, but slower or smaller than it could: see the advice\n"
          "  2  ouro cannot run here: the advice says why\n"
          "  3  wrong usage, or the answer could not be written\n",
          to);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quiet", no_argument, NULL, 'q'},
        {"json", no_argument, NULL, 'j'},
        {"sysroot", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    static struct ouro__findings f;
    const char *root = "";
    int how = 'p';
    for (int c; (c = getopt_long(argc, argv, "qjs:h", options, NULL)) != -1;) {
        if (c == 's') {
            root = optarg;
        } else if (c == '?') {
            usage(stderr);
            return OURO__DOCTOR_WRONG;
        } else {
            how = c;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ouro-doctor: what is '%s'?\n", argv[optind]);
        usage(stderr);
        return OURO__DOCTOR_WRONG;
    }

    int status = OURO__DOCTOR_ALL;
    if (how == 'h') {
        usage(stdout);
    } else {
        ouro__machine_look(&f.machine, root);
        ouro__surroundings_look(&f.around, root);
        find_liburing(f.liburing);
        f.rc = ouro__probe(ENTRIES, &f.probe);
        ouro__doctor_advise(&f);
        status = ouro__doctor_status(&f);
    }
    if (how == 'p')
        ouro__doctor_print(&f);
    else if (how == 'j')
        ouro__doctor_print_json(&f);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("ouro-doctor: standard output");
        return OURO__DOCTOR_WRONG;
    }
    return status;
}
