// SPDX-License-Identifier: MIT
// A user's program in C++17, linked with an installed ouro: a lambda is a task. Exit status 0 says
// that its value came back.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <ouro/ouro.h>
#include <ouro/uring.h>

int main()
{
    int answer = 42;
    std::int64_t rc = ouro_run(
        [](void *arg) -> std::int64_t {
            std::int64_t slept = ouro_await(ouro_sleep(OURO_MS(1)));
            return slept < 0 ? slept : *static_cast<int *>(arg);
        },
        &answer, nullptr);
    if (rc < 0)
        std::fprintf(stderr, "%s\n", ouro_strerror(rc));
    std::printf("C++, ouro %s: %d\n", ouro_version(), static_cast<int>(rc));
    return rc != 42 || std::strcmp(ouro_version(), OURO_VERSION_STRING) != 0;
}
