/* SPDX-License-Identifier: MIT */
/*
 * Any text as a value of an array, of a bytea, of a time, of a number; and any bytes as one in
 * binary form. The first byte says which.
 */
#include "result_int.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ouro_pg_result *one_of(Oid type, int format, const uint8_t *data, size_t size)
{
    char name[] = "value";
    PGresAttDesc column = {.name = name, .typid = type, .format = format, .typlen = -1};
    PGresult *part = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    PQsetResultAttrs(part, 1, &column);
    PQsetvalue(part, 0, 0, copy, (int)size);
    free(copy);
    return ouro__pg_result_new(&part, 1);
}

static void read_all(ouro_pg_result *r)
{
    int64_t n;
    double d;
    int truth;
    char uuid[OURO_PG_UUID_TEXT];
    ouro_pg_int_at(r, 0, 0, &n);
    ouro_pg_double_at(r, 0, 0, &d);
    ouro_pg_bool_at(r, 0, 0, &truth);
    ouro_pg_time_at(r, 0, 0, &n);
    ouro_pg_uuid_at(r, 0, 0, uuid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const Oid types[] = {1009, 17, 16, 20, 21, 23, 25, 26, 700, 701, 1082, 1114, 1700, 2950};
    if (!size)
        return 0;
    unsigned which = data[0] % (2 * sizeof types / sizeof *types);
    ouro_pg_result *r = one_of(types[which / 2], which % 2, data + 1, size - 1);
    const ouro_pg_item *items;
    const void *bytes;
    size_t bytes_size;
    read_all(r);
    int64_t count = ouro_pg_items_at(r, 0, 0, &items);
    for (int64_t i = 0; i < count; i++)
        if (items[i].data && items[i].data[items[i].size])
            abort();
    if (ouro_pg_bytes_at(r, 0, 0, &bytes, &bytes_size) == 0 && ((const char *)bytes)[bytes_size])
        abort();
    read_all(r);
    ouro_pg_result_free(r);
    return 0;
}
