/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a request, as a whole and in two pieces: both read the same. The first two bytes say
 * where the second piece begins.
 */
#include "http_reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t split = (size_t)data[0] << 8 | data[1];
    size -= 2;
    http_read_any((const char *)data + 2, size, split % (size + 1));
    return 0;
}
