/* SPDX-License-Identifier: MIT */
/*
 * Any text as a statement with names: it is read to its end, and what is measured is what is
 * written, which AddressSanitizer sees to.
 */
#include "params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ouro_pg_value v[] = {ouro_pg_named("a", ouro_pg_int(1)), ouro_pg_named("b", ouro_pg_int(2))};
    size_t count = size && data[0] % 2 ? 1 : 2;
    char *sql = malloc(size + 1);
    memcpy(sql, data, size);
    sql[size] = '\0';
    struct pg_complaint complaint;
    int64_t need = ouro__pg_statement_size(sql, v, count, &complaint);
    if (need >= 0) {
        void *place = malloc((size_t)need);
        struct pg_statement s;
        ouro__pg_statement_fill(sql, v, count, place, &s);
        if (strlen(s.sql) != s.sql_size || strcmp(s.given, sql) != 0)
            abort();
        int64_t before = 0;
        for (int64_t i = 0; i <= (int64_t)s.sql_size + 1; i++) {
            int64_t position = ouro__pg_statement_position(&s, i);
            if (position < before) /* they never go back */
                abort();
            before = position;
        }
        free(place);
    }
    free(sql);
    return 0;
}
