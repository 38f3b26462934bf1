/* SPDX-License-Identifier: MIT */
/*
 * Gives a fuzzer's function every file of a folder: what once was found stays found, with every
 * compiler. A file that breaks something ends the program, and is the last that was named.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int give(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *fp = fopen(path, "rb");
    if (!fp || fseek(fp, 0, SEEK_END) < 0) {
        perror(path);
        return -1;
    }
    printf("%s\n", name);
    fflush(stdout);
    size_t size = (size_t)ftell(fp);
    uint8_t *data = malloc(size ? size
                                : 1); /* exactly, so that a sanitizer sees what lies behind */
    rewind(fp);
    int rc = data && fread(data, 1, size, fp) == size ? 0 : -1;
    if (rc == 0)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    fclose(fp);
    return rc;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int count = 0, rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir));)
        if (e->d_name[0] != '.' && (rc = give(argv[1], e->d_name)) == 0)
            count++;
    closedir(dir);
    printf("%d inputs\n", count);
    return rc < 0 || count == 0;
}
