/* SPDX-License-Identifier: MIT */
/*
 * A web API over PostgreSQL: users can be made, listed page by page, read, changed and removed.
 *
 *     users_api :8000          then: curl -d '{"name":"Ann","email":"ann@x.org"}' :8000/users
 *     users_api --selftest
 *
 * The database is the one that PGHOST and its like name. What a client sends is checked here, and
 * goes to the database as parameters; what the database refuses becomes the status that fits.
 */
#include <ouro/http.h>
#include <ouro/ouro.h>
#include <ouro/pg.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MAX 100

static const char schema[] = "CREATE TABLE IF NOT EXISTS ouro_api_users ("
                             " id serial PRIMARY KEY,"
                             " name text NOT NULL,"
                             " email text NOT NULL UNIQUE)";

/* ---- Answers --------------------------------------------------------------------------------- */

static int64_t refuse(ouro_http_request *r, int status, const char *why)
{
    return ouro_http_reply_json(r, status, json_pack("{s:s}", "error", why));
}

/* What an error of the database is to a client. */
static int64_t refuse_by(ouro_http_request *r, int64_t error)
{
    switch (-error) {
    case OURO_ESQL_UNIQUE_VIOLATION:
        return refuse(r, 409, "this email is taken");
    case ETIMEDOUT:
    case EAGAIN:
        return refuse(r, 503, "the database is busy");
    default:
        return error;
    }
}

static json_t *user_of(const ouro_pg_result *rows, int64_t row)
{
    int64_t id = 0;
    ouro_pg_int_at(rows, row, 0, &id);
    return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)id, "name",
                     ouro_pg_text_at(rows, row, 1, NULL), "email",
                     ouro_pg_text_at(rows, row, 2, NULL));
}

/* Answer with the one user that a statement brings, or 404. */
static int64_t reply_user(ouro_http_request *r, int status, ouro_future *statement)
{
    int64_t n;
    ouro_pg_result *rows = ouro_await_ptr(statement, &n);
    if (n > 0)
        n = ouro_http_reply_json(r, status, user_of(rows, 0));
    else
        n = n == 0 ? refuse(r, 404, "there is no such user") : refuse_by(r, n);
    ouro_pg_result_free(rows);
    return n;
}

/* ---- What is sent ---------------------------------------------------------------------------- */

struct user {
    json_t *json; /* what the texts are from */
    const char *name;
    const char *email;
};

static const char *fault_of(const struct user *u)
{
    if (!u->name || !*u->name || strlen(u->name) > 100)
        return "name: 1 to 100 bytes";
    if (!u->email || !strchr(u->email, '@') || strlen(u->email) > 200)
        return "email: an address of 200 bytes at most";
    return NULL;
}

/* 0: @u is a user. 1: it is none, and the client has been told. */
static int64_t read_user(ouro_http_request *r, struct user *u)
{
    int64_t rc = ouro_await(ouro_http_body(r));
    if (rc < 0)
        return rc;
    if (ouro_http_json(r, &u->json) < 0) {
        rc = refuse(r, 400, ouro_http_json_error(r));
        return rc < 0 ? rc : 1;
    }
    u->name = json_string_value(json_object_get(u->json, "name"));
    u->email = json_string_value(json_object_get(u->json, "email"));
    if (!fault_of(u))
        return 0;
    rc = refuse(r, 422, fault_of(u));
    json_decref(u->json);
    return rc < 0 ? rc : 1;
}

/* ---- The endpoints --------------------------------------------------------------------------- */

static int64_t list(ouro_http_request *r, void *pool)
{
    int64_t page = 1, size = 20, n;
    if (ouro_http_query_int(r, "page", &page) == -EBADMSG || page < 1 || page > 1000000 ||
        ouro_http_query_int(r, "size", &size) == -EBADMSG || size < 1 || size > PAGE_MAX)
        return refuse(r, 400, "page: 1 and up; size: 1 to 100");
    ouro_pg_result *rows = ouro_await_ptr(
        ouro_pg_pool_query(
            pool, "SELECT id, name, email FROM ouro_api_users ORDER BY id LIMIT :size OFFSET :skip",
            OURO_PG_PARAMS(ouro_pg_named("size", ouro_pg_int(size)),
                           ouro_pg_named("skip", ouro_pg_int((page - 1) * size))),
            NULL),
        &n);
    if (n < 0)
        return refuse_by(r, n);
    json_t *users = json_array();
    for (int64_t row = 0; row < n; row++)
        json_array_append_new(users, user_of(rows, row));
    ouro_pg_result_free(rows);
    return ouro_http_reply_json(r, 200,
                                json_pack("{s:I, s:o}", "page", (json_int_t)page, "users", users));
}

static int64_t create(ouro_http_request *r, void *pool)
{
    struct user u;
    int64_t rc = read_user(r, &u);
    if (rc != 0)
        return rc;
    rc = reply_user(r, 201,
                    ouro_pg_pool_query(pool,
                                       "INSERT INTO ouro_api_users (name, email)"
                                       " VALUES ($1, $2) RETURNING id, name, email",
                                       OURO_PG_PARAMS(ouro_pg_text(u.name), ouro_pg_text(u.email)),
                                       NULL));
    json_decref(u.json);
    return rc;
}

static int64_t read_one(ouro_http_request *r, void *pool)
{
    int64_t id;
    if (ouro_http_param_int(r, "id", &id) < 0)
        return refuse(r, 404, "there is no such user");
    return reply_user(
        r, 200,
        ouro_pg_pool_query(pool, "SELECT id, name, email FROM ouro_api_users WHERE id = $1::int8",
                           OURO_PG_PARAMS(ouro_pg_int(id)), NULL));
}

static int64_t change(ouro_http_request *r, void *pool)
{
    struct user u;
    int64_t id, rc;
    if (ouro_http_param_int(r, "id", &id) < 0)
        return refuse(r, 404, "there is no such user");
    rc = read_user(r, &u);
    if (rc != 0)
        return rc;
    rc = reply_user(r, 200,
                    ouro_pg_pool_query(pool,
                                       "UPDATE ouro_api_users SET name = $2, email = $3"
                                       " WHERE id = $1::int8 RETURNING id, name, email",
                                       OURO_PG_PARAMS(ouro_pg_int(id), ouro_pg_text(u.name),
                                                      ouro_pg_text(u.email)),
                                       NULL));
    json_decref(u.json);
    return rc;
}

static int64_t remove_one(ouro_http_request *r, void *pool)
{
    int64_t id, n;
    if (ouro_http_param_int(r, "id", &id) < 0)
        return refuse(r, 404, "there is no such user");
    n = ouro_await(ouro_pg_pool_query(pool, "DELETE FROM ouro_api_users WHERE id = $1::int8",
                                      OURO_PG_PARAMS(ouro_pg_int(id)), NULL));
    if (n > 0)
        return 0; /* 204 */
    return n == 0 ? refuse(r, 404, "there is no such user") : refuse_by(r, n);
}

/* ---- The server ------------------------------------------------------------------------------ */

static const struct {
    const char *method;
    const char *path;
    ouro_http_handler *handler;
} routes[] = {
    {"GET", "/users", list},
    {"POST", "/users", create},
    {"GET", "/users/{id}", read_one},
    {"PUT", "/users/{id}", change},
    {"DELETE", "/users/{id}", remove_one},
};

typedef int64_t meanwhile(const char *place);

static int64_t serve_at(ouro_http_server *server, ouro_listener *listener, meanwhile *then)
{
    ouro_address address;
    char text[OURO_ADDRESS_TEXT];
    int64_t rc = 0;
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, text, sizeof text);
    fprintf(stderr, "http://%s/users\n", text);
    ouro_future *serving = ouro_http_serve(server, listener, NULL);
    if (then) {
        rc = then(text);
        ouro_server_stop(serving, OURO_SEC(1));
    }
    int64_t ended = ouro_await(serving);
    return rc < 0 ? rc : ended;
}

static int64_t serve(ouro_pg_pool *pool, ouro_listener *listener, meanwhile *then)
{
    ouro_http_server *server;
    int64_t rc = ouro_http_server_new(NULL, &server);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && rc == 0; i++)
        rc = ouro_http_route(server, routes[i].method, routes[i].path, routes[i].handler, pool);
    if (rc == 0)
        rc = serve_at(server, listener, then);
    ouro_http_server_free(server);
    return rc;
}

/* A table, and nobody in it if that is wanted. */
static int64_t prepare(ouro_pg_pool *pool, int afresh)
{
    int64_t rc = 0;
    ouro_future *ready = ouro_pg_pool_ready(pool);
    rc = ouro_await(ouro_ref(ready));
    if (rc < 0)
        fprintf(stderr, "users_api: %s\n", ouro_future_detail(ready));
    ouro_unref(ready);
    if (rc >= 0 && afresh)
        rc = ouro_await(
            ouro_pg_pool_query(pool, "DROP TABLE IF EXISTS ouro_api_users", NULL, 0, NULL));
    if (rc >= 0)
        rc = ouro_await(ouro_pg_pool_query(pool, schema, NULL, 0, NULL));
    return rc;
}

static int64_t with_database(ouro_listener *listener, meanwhile *then)
{
    ouro_pg_pool *pool;
    int64_t rc = ouro_pg_pool_new("", NULL, &pool);
    if (rc < 0)
        return rc;
    rc = prepare(pool, then != NULL);
    if (rc >= 0)
        rc = serve(pool, listener, then);
    if (rc >= 0 && then)
        rc = ouro_await(ouro_pg_pool_query(pool, "DROP TABLE ouro_api_users", NULL, 0, NULL));
    ouro_await(ouro_pg_pool_close(pool, OURO_SEC(1)));
    ouro_pg_pool_free(pool);
    return rc;
}

/* The listener comes first: where there is none the database is left alone. */
static int64_t serve_place(const char *place, meanwhile *then)
{
    ouro_listener *listener;
    int64_t rc = ouro_listen(place, NULL, &listener);
    if (rc < 0) {
        fprintf(stderr, "cannot listen at %s: %s\n", place, ouro_strerror(rc));
        return rc;
    }
    rc = with_database(listener, then);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "users_api: %s\n", ouro_strerror(rc));
    ouro_listener_free(listener);
    return rc;
}

static int64_t run(void *arg)
{
    char **argv = arg;
    return serve_place(argv[1], NULL);
}

/* ---- The self-test --------------------------------------------------------------------------- */

struct call {
    const char *method;
    const char *path;
    const char *json;
};

static const struct call calls[] = {
    {"POST", "/users", "{\"name\":\"Ann\",\"email\":\"ann@x.org\"}"},
    {"POST", "/users", "{\"name\":\"Bob'); --\",\"email\":\"bob@x.org\"}"},
    {"POST", "/users", "{\"name\":\"Ann again\",\"email\":\"ann@x.org\"}"},
    {"POST", "/users", "{\"name\":\"\"}"},
    {"POST", "/users", "{\"name\":"},
    {"GET", "/users/2", NULL},
    {"PUT", "/users/2", "{\"name\":\"Bob\",\"email\":\"bob@y.org\"}"},
    {"GET", "/users?page=1&size=10", NULL},
    {"GET", "/users?size=1000", NULL},
    {"DELETE", "/users/1", NULL},
    {"DELETE", "/users/1", NULL},
    {"GET", "/users/one", NULL},
    {"PATCH", "/users/1", NULL},
};

static int64_t make_call(ouro_http_client *client, const char *place, const struct call *c)
{
    char url[OURO_ADDRESS_TEXT + 64];
    int64_t status;
    snprintf(url, sizeof url, "http://%s%s", place, c->path);
    ouro_http_response *page = ouro_await_ptr(
        ouro_http_fetch(client, c->method, url, &(ouro_http_options){.json = c->json}), &status);
    if (page)
        printf("%s %s: %lld%s%s\n", c->method, c->path, (long long)status, page->size ? " " : "",
               status == 400 || status == 405 ? "" : page->body);
    ouro_http_response_free(page);
    return status < 0 ? status : 0;
}

static int64_t make_calls(const char *place)
{
    ouro_http_client *client;
    int64_t rc = ouro_http_client_new(NULL, &client);
    for (size_t i = 0; i < sizeof calls / sizeof *calls && rc == 0; i++)
        rc = make_call(client, place, &calls[i]);
    ouro_http_client_free(client);
    return rc;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    return serve_place("127.0.0.1:0", make_calls);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: users_api PLACE, such as :8000 | --selftest\n");
        return 2;
    }
    int64_t rc = strcmp(argv[1], "--selftest") == 0 ? ouro_run(selftest, NULL, NULL)
                                                    : ouro_run(run, argv, NULL);
    return ouro_exit_code(rc);
}
