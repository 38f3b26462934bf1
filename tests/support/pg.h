/* SPDX-License-Identifier: MIT */
#ifndef OURO_TEST_PG_H
#define OURO_TEST_PG_H

/*
 * PostgreSQL servers for tests.
 *
 * A test run has one server for all tests, which ctest starts and names in the environment
 * (OURO_TEST_PG, a file with how to connect). A program that is run by hand starts one of its own
 * before main(), which goes when the program does. Where there is no PostgreSQL, the program says
 * so and exits with 77, before main().
 *
 * What fails here is not what is being tested: it is said on standard error, and abort() follows.
 */

#include <stdint.h>

/* How to connect to the server: as the superuser, without a password. */
const char *pg_conninfo(void);

/* The same by TLS, with the server's certificate verified, as the user app by a password (SCRAM).
 * This user is let in no other way. */
const char *pg_conninfo_tls(void);

/* A statement on a connection of its own, by libpq and waiting for it: the first value as a number;
 * 0 if it has none. With a conninfo, on another server than that of pg_conninfo(). */
int64_t pg_admin(const char *sql);
int64_t pg_admin_at(const char *conninfo, const char *sql);

/* A server for one test, which may end it, with new and empty data. It ends with the process. */
struct pg_private;

struct pg_private *pg_private_start(void);
const char *pg_private_conninfo(const struct pg_private *server);

/* End it at once, as if it had crashed; what it has not to be lost stays. */
void pg_private_halt(struct pg_private *server);

/* End it, if it runs, and have it begin again at the same port. */
void pg_private_restart(struct pg_private *server);

/* End it and free the handle. NULL is allowed. */
void pg_private_stop(struct pg_private *server);

#endif
