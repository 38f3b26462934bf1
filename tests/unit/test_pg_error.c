/* SPDX-License-Identifier: MIT */
/*
 * What servers say: errors, notices, tags. libpq makes results with these only from what a server
 * sends, so here is one, which says what it is told to.
 */
#define _GNU_SOURCE
#include "pg_test.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(pg_error, .timeout = 60);

/* ---- A server -------------------------------------------------------------------------------- */

struct server {
    char folder[32];
    char path[64];
    int listener;
    int socket;
    PGconn *conn;
};

static void put_message(int to, char kind, const void *data, size_t size)
{
    unsigned char head[5] = {(unsigned char)kind};
    uint32_t length = (uint32_t)size + 4;
    for (int i = 0; i < 4; i++)
        head[1 + i] = (unsigned char)(length >> (24 - 8 * i));
    check_eq(write(to, head, sizeof head), sizeof head);
    check_eq(write(to, data, size), size);
}

static void put_ready(struct server *s)
{
    put_message(s->socket, 'Z', "I", 1);
}

static void server_open(struct server *s)
{
    strcpy(s->folder, "/tmp/ouro_pg_XXXXXX");
    check(mkdtemp(s->folder) != NULL);
    snprintf(s->path, sizeof s->path, "%s/.s.PGSQL.5432", s->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    check_eq(bind(s->listener, (struct sockaddr *)&address, sizeof address), 0);
    check_eq(listen(s->listener, 1), 0);
    char conninfo[128];
    snprintf(conninfo, sizeof conninfo,
             "host=%s port=5432 user=x dbname=x sslmode=disable gssencmode=disable", s->folder);
    s->conn = PQconnectStart(conninfo);
    s->socket = accept(s->listener, NULL, NULL);
    check(s->socket >= 0);
    put_message(s->socket, 'R', "\0\0\0\0", 4);
    put_ready(s);
    while (PQstatus(s->conn) != CONNECTION_OK && PQstatus(s->conn) != CONNECTION_BAD)
        PQconnectPoll(s->conn);
    check_eq(PQstatus(s->conn), CONNECTION_OK);
}

static void server_close(struct server *s)
{
    PQfinish(s->conn);
    close(s->socket);
    close(s->listener);
    unlink(s->path);
    rmdir(s->folder);
}

/* What libpq makes of one message that answers a statement. */
static PGresult *answer(struct server *s, char kind, const void *data, size_t size)
{
    check(PQsendQuery(s->conn, "SELECT"));
    put_message(s->socket, kind, data, size);
    put_ready(s);
    PGresult *r = PQgetResult(s->conn);
    check(r != NULL);
    check(PQgetResult(s->conn) == NULL);
    return r;
}

/* Fields of an error: a letter and a text each, with zeros between, as the protocol has them. */
#define FIELDS(text) text "\0", sizeof(text "\0")

static const char *printed(const ouro_pg_error *e)
{
    static char text[1024];
    ouro__pg_error_print(e, text, sizeof text);
    return text;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

Test(pg_error, has_the_fields_of_the_server)
{
    struct server s;
    server_open(&s);
    PGresult *r = answer(&s, 'E',
                         FIELDS("SFEHLER\0VERROR\0C23505\0Mduplicate key\0DKey (id)=(7) already "
                                "exists.\0HTry 8.\0P17\0WPL/pgSQL function\0spublic\0tusers\0cid\0"
                                "dint4\0nusers_pkey"));
    ouro_pg_error e;
    memset(&e, 'x', sizeof e);
    ouro__pg_error_fill(&e, r, -EIO);
    check_eq(e.code, -OURO_ESQL_UNIQUE_VIOLATION);
    check_eq(e.position, 17);
    check_text(e.sqlstate, "23505");
    check_text(e.severity, "ERROR");
    check_text(e.message, "duplicate key");
    check_text(e.detail, "Key (id)=(7) already exists.");
    check_text(e.hint, "Try 8.");
    check_text(e.context, "PL/pgSQL function");
    check_text(e.schema, "public");
    check_text(e.table, "users");
    check_text(e.column, "id");
    check_text(e.type, "int4");
    check_text(e.constraint, "users_pkey");
    check_text(printed(&e), "23505: duplicate key (Key (id)=(7) already exists.)");
    PQclear(r);
    server_close(&s);
}

Test(pg_error, has_empty_fields_where_the_server_says_nothing)
{
    struct server s;
    server_open(&s);
    PGresult *r = answer(&s, 'E', FIELDS("SERROR\0C42601\0Msyntax error"));
    ouro_pg_error e;
    memset(&e, 'x', sizeof e);
    ouro__pg_error_fill(&e, r, -EIO);
    check_eq(e.code, -OURO_ESQL_SYNTAX_ERROR);
    check_eq(e.position, 0);
    check_text(e.severity, "");
    check_text(e.detail, "");
    check_text(e.constraint, "");
    check_text(printed(&e), "42601: syntax error");
    PQclear(r);
    server_close(&s);
}

Test(pg_error, of_libpq_has_a_message_alone)
{
    struct server s;
    server_open(&s);
    check(PQsendQuery(s.conn, "SELECT"));
    close(s.socket);
    s.socket = -1;
    PGresult *r = PQgetResult(s.conn);
    check_eq(PQresultStatus(r), PGRES_FATAL_ERROR);
    ouro_pg_error e;
    ouro__pg_error_fill(&e, r, -ECONNRESET);
    check_eq(e.code, -ECONNRESET);
    check_text(e.sqlstate, "");
    check(strlen(e.message) > 10);
    check(e.message[strlen(e.message) - 1] != '\n');
    check(strchr(e.message, '\n') != NULL);
    check(strchr(printed(&e), '\n') == NULL);
    check_eq(memcmp(printed(&e), e.message, 10), 0);
    PQclear(r);
    server_close(&s);
}

Test(pg_error, of_a_result_without_anything)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    ouro_pg_error e;
    ouro__pg_error_fill(&e, r, -EIO);
    check_eq(e.code, -EIO);
    check_text(e.message, "");
    check_text(printed(&e), "");
    PQclear(r);
}

static void keep_notice(void *arg, const PGresult *r)
{
    ouro__pg_error_fill(arg, r, -EIO);
}

Test(pg_error, of_a_notice_has_no_code)
{
    struct server s;
    ouro_pg_error e = {.code = 7};
    server_open(&s);
    PQsetNoticeReceiver(s.conn, keep_notice, &e);
    check(PQsendQuery(s.conn, "SELECT"));
    put_message(s.socket, 'N', FIELDS("SNOTICE\0VNOTICE\0C00000\0Mhello"));
    put_message(s.socket, 'C', "DO", 3);
    put_ready(&s);
    PGresult *r;
    while ((r = PQgetResult(s.conn)))
        PQclear(r);
    check_eq(e.code, 0);
    check_text(e.severity, "NOTICE");
    check_text(e.sqlstate, "00000");
    check_text(e.message, "hello");
    server_close(&s);
}

Test(pg_error, is_cut_between_characters)
{
    struct server s;
    server_open(&s);
    for (size_t shift = 0; shift < 4; shift++) {
        char fields[1200] = "C23505";
        size_t at = 7;
        fields[at++] = 'M';
        memset(fields + at, 'x', shift);
        at += shift;
        for (int i = 0; i < 100; i++, at += 4)
            memcpy(fields + at, "\xf0\x9f\x90\x8d", 4);
        at++;
        fields[at++] = 't';
        memset(fields + at, 't', 500);
        at += 501;
        PGresult *r = answer(&s, 'E', fields, at + 1);
        ouro_pg_error e;
        ouro__pg_error_fill(&e, r, -EIO);
        size_t length = strlen(e.message);
        check_eq(length, shift + (255 - shift) / 4 * 4);
        check_eq(strlen(e.table), 63);
        char text[64];
        for (size_t room = 1; room < sizeof text; room++) {
            ouro__pg_error_print(&e, text, room);
            length = strlen(text);
            check(length < room);
            check(room < 8 + shift || (length - 7 - shift) % 4 == 0);
        }
        PQclear(r);
    }
    server_close(&s);
}

Test(pg_error, is_printed_on_one_line)
{
    ouro_pg_error e = {.message = "deadlock\n\tdetected",
                       .detail = "Process 1 waits.\nProcess 2  too."};
    strcpy(e.sqlstate, "40P01");
    check_text(printed(&e), "40P01: deadlock detected (Process 1 waits. Process 2 too.)");
}

Test(pg_error, codes_are_those_of_the_sqlstate)
{
    check_eq(ouro__pg_code("23505"), -OURO_ESQL_UNIQUE_VIOLATION);
    check_eq(ouro__pg_code("40P01"), -OURO_ESQL_DEADLOCK);
    check_eq(ouro__pg_code("ZZZZZ"), -OURO_ESQL('Z', 'Z', 'Z', 'Z', 'Z'));
    static const char *const bad[] = {"", "2350", "235055", "2350 ", "2350p", "2350\xc3", "-1234"};
    for (size_t i = 0; i < COUNT(bad); i++)
        check_eq(ouro__pg_code(bad[i]), 0);
    check_eq(ouro__pg_code(NULL), 0);
    char back[6];
    check(ouro_sqlstate(ouro__pg_code("XX000"), back));
    check_text(back, "XX000");
}

/* ---- Tags ------------------------------------------------------------------------------------ */

Test(pg_error, tags_say_how_many_rows_were_touched)
{
    static const struct {
        const char *tag;
        int64_t affected;
    } tags[] = {
        {"INSERT 0 5", 5},
        {"UPDATE 0", 0},
        {"DELETE 12", 12},
        {"SELECT 3", 3},
        {"COPY 1000000", 1000000},
        {"MOVE 7", 7},
        {"FETCH 8", 8},
        {"MERGE 9", 9},
        {"CREATE TABLE", 0},
        {"COMMIT", 0},
        {"INSERT 0 9000000000000000000", INT64_C(9000000000000000000)},
    };
    struct server s;
    server_open(&s);
    for (size_t i = 0; i < COUNT(tags); i++) {
        PGresult *part = answer(&s, 'C', tags[i].tag, strlen(tags[i].tag) + 1);
        ouro_pg_result *r = ouro__pg_result_new(&part, 1);
        check_text(ouro_pg_tag(r), tags[i].tag);
        check_eq(ouro_pg_affected(r), tags[i].affected);
        ouro_pg_result_free(r);
    }
    server_close(&s);
}

/* ---- Names for SQL --------------------------------------------------------------------------- */

Test(pg_error, names_are_quoted_whatever_is_in_them)
{
    static const char *const names[][2] = {
        {"", "\"\""},
        {"users", "\"users\""},
        {"\"", "\"\"\"\""},
        {"a\"b", "\"a\"\"b\""},
        {"x\"; DROP TABLE users; --", "\"x\"\"; DROP TABLE users; --\""},
        {"\xc3\xa4 \\'", "\"\xc3\xa4 \\'\""},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t length = strlen(names[i][1]);
        check_eq(ouro_pg_quote_name(names[i][0], NULL, 0), length);
        for (size_t size = 1; size < length + 4; size++) {
            char *text = malloc(size);
            check_eq(ouro_pg_quote_name(names[i][0], text, size), length);
            size_t kept = size - 1 < length ? size - 1 : length;
            check_eq(strlen(text), kept);
            check_eq(memcmp(text, names[i][1], kept), 0);
            free(text);
        }
    }
    check_eq(ouro_pg_quote_name(NULL, NULL, 0), -EINVAL);
}
