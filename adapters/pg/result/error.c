/* SPDX-License-Identifier: MIT */
/*
 * What the server says when something fails, in the fields of ouro_pg_error and as a sentence.
 *
 * Nothing fails: what is missing is empty, what does not fit is cut.
 */
#include "result_int.h"

#include "text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int64_t ouro__pg_code(const char *sqlstate)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (!sqlstate || strspn(sqlstate, digits) != 5 || sqlstate[5])
        return 0;
    return -OURO_ESQL(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]);
}

static void fill(char *field, size_t size, const PGresult *r, int which)
{
    const char *text = PQresultErrorField(r, which);
    if (text)
        ouro__pg_text_copy(field, size, text, strlen(text));
}

/* libpq's own errors have no fields, and a newline at their end. */
static void fill_message(ouro_pg_error *e, const PGresult *r)
{
    fill(e->message, sizeof e->message, r, PG_DIAG_MESSAGE_PRIMARY);
    if (*e->message)
        return;
    const char *text = PQresultErrorMessage(r);
    size_t size = strlen(text);
    while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    ouro__pg_text_copy(e->message, sizeof e->message, text, size);
}

void ouro__pg_error_fill(ouro_pg_error *e, const PGresult *r, int64_t otherwise)
{
    const struct {
        int which;
        char *field;
        size_t size;
    } fields[] = {
        {PG_DIAG_SQLSTATE, e->sqlstate, sizeof e->sqlstate},
        {PG_DIAG_SEVERITY_NONLOCALIZED, e->severity, sizeof e->severity},
        {PG_DIAG_MESSAGE_DETAIL, e->detail, sizeof e->detail},
        {PG_DIAG_MESSAGE_HINT, e->hint, sizeof e->hint},
        {PG_DIAG_CONTEXT, e->context, sizeof e->context},
        {PG_DIAG_SCHEMA_NAME, e->schema, sizeof e->schema},
        {PG_DIAG_TABLE_NAME, e->table, sizeof e->table},
        {PG_DIAG_COLUMN_NAME, e->column, sizeof e->column},
        {PG_DIAG_DATATYPE_NAME, e->type, sizeof e->type},
        {PG_DIAG_CONSTRAINT_NAME, e->constraint, sizeof e->constraint},
    };
    *e = (ouro_pg_error){.code = 0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        fill(fields[i].field, fields[i].size, r, fields[i].which);
    fill_message(e, r);
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    e->position = position ? strtoll(position, NULL, 10) : 0;
    if (PQresultStatus(r) != PGRES_NONFATAL_ERROR) {
        int64_t code = ouro__pg_code(PQresultErrorField(r, PG_DIAG_SQLSTATE));
        e->code = code ? code : otherwise;
    }
}

/* ---- A sentence ------------------------------------------------------------------------------ */

struct line {
    char *text;
    size_t room;
};

/* Add to a line, on which newlines and tabs become blanks, and several of these one. */
static void add(struct line *line, const char *text)
{
    size_t size = ouro__pg_text_copy(line->text, line->room, text, strlen(text));
    char *to = line->text;
    for (const char *from = line->text; from < line->text + size; from++) {
        bool blank = (unsigned char)*from <= ' ';
        if (!blank || to == line->text || to[-1] != ' ')
            *to++ = blank ? ' ' : *from;
    }
    *to = '\0';
    line->room -= (size_t)(to - line->text);
    line->text = to;
}

void ouro__pg_error_print(const ouro_pg_error *e, char *text, size_t size)
{
    assert(size > 0);
    struct line line = {.text = text, .room = size};
    *text = '\0';
    if (*e->sqlstate) {
        add(&line, e->sqlstate);
        add(&line, ": ");
    }
    add(&line, e->message);
    if (*e->detail) {
        add(&line, " (");
        add(&line, e->detail);
        add(&line, ")");
    }
}
