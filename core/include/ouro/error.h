/* SPDX-License-Identifier: MIT */
#ifndef OURO_ERROR_H
#define OURO_ERROR_H

#include <ouro/base.h>

/**
 * @file error.h
 * Error codes, their text, and the reports of what nobody could be told.
 *
 * Every failure is a negative errno, or the negative of one of the codes below. errno itself is
 * neither read nor set.
 */

/** A future you waited for was cancelled by somebody else, and you were not (-5001). */
#define OURO_ECHILDCANCELLED 5001
/** A worker process exited without having answered (-5002). */
#define OURO_EWORKEREXIT 5002
/** There is no host of that name (-5003). */
#define OURO_ENONAME 5003
/** The host is known, but has no address of the wanted family (-5004). */
#define OURO_ENOADDRESS 5004
/** There is no service of that name (-5005). */
#define OURO_ENOSERVICE 5005
/** No name server has answered; it may do so later (-5006). */
#define OURO_ETRYAGAIN 5006
/** The name server failed, or the system's resolver (-5007). */
#define OURO_ERESOLVER 5007
/** A server refused the session, or broke the rules of its protocol (-5008). */
#define OURO_ENOSESSION 5008
/** A transaction was rolled back that should have been committed (-5009). */
#define OURO_EROLLEDBACK 5009
/** A COPY where none is allowed, or no COPY where one is needed (-5010). */
#define OURO_ECOPY 5010
/** A process was killed by signal @p number, or crashed with it (-5100 - number). */
#define OURO_ESIGNALED(number) (5100 + (number))

/** An HTTP status from 400 to 599, as an error: -OURO_EHTTP(404) is -5404. */
#define OURO_EHTTP(status) (5000 + (status))

/** A digit of a SQLSTATE: '0' to '9', 'A' to 'Z'. */
#define OURO_ESQL_DIGIT(c) ((c) <= '9' ? (c) - '0' : (c) - 'A' + 10)
/** A database refused something with the SQLSTATE of these five characters: ('2','3','5','0','5').
 *  ouro_sqlstate() has them back. */
#define OURO_ESQL(a, b, c, d, e)                                                        \
    (100000000 +                                                                        \
     (((OURO_ESQL_DIGIT(a) * 36 + OURO_ESQL_DIGIT(b)) * 36 + OURO_ESQL_DIGIT(c)) * 36 + \
      OURO_ESQL_DIGIT(d)) *                                                             \
         36 +                                                                           \
     OURO_ESQL_DIGIT(e))
/** A row refers to another that is not there (23503). */
#define OURO_ESQL_FOREIGN_KEY_VIOLATION OURO_ESQL('2', '3', '5', '0', '3')
/** A key is there already (23505). */
#define OURO_ESQL_UNIQUE_VIOLATION OURO_ESQL('2', '3', '5', '0', '5')
/** A check constraint does not hold (23514). */
#define OURO_ESQL_CHECK_VIOLATION OURO_ESQL('2', '3', '5', '1', '4')
/** A NULL where none may be (23502). */
#define OURO_ESQL_NOT_NULL_VIOLATION OURO_ESQL('2', '3', '5', '0', '2')
/** A statement in a transaction in which another has failed (25P02). */
#define OURO_ESQL_IN_FAILED_TRANSACTION OURO_ESQL('2', '5', 'P', '0', '2')
/** Wrong password (28P01). */
#define OURO_ESQL_INVALID_PASSWORD OURO_ESQL('2', '8', 'P', '0', '1')
/** No database of that name (3D000). */
#define OURO_ESQL_UNKNOWN_DATABASE OURO_ESQL('3', 'D', '0', '0', '0')
/** Transactions were in each other's way: try again (40001). */
#define OURO_ESQL_SERIALIZATION_FAILURE OURO_ESQL('4', '0', '0', '0', '1')
/** Transactions waited for each other in a ring: try again (40P01). */
#define OURO_ESQL_DEADLOCK OURO_ESQL('4', '0', 'P', '0', '1')
/** The statement is malformed (42601). */
#define OURO_ESQL_SYNTAX_ERROR OURO_ESQL('4', '2', '6', '0', '1')
/** No table of that name (42P01). */
#define OURO_ESQL_UNDEFINED_TABLE OURO_ESQL('4', '2', 'P', '0', '1')
/** The server has no room for another session (53300). */
#define OURO_ESQL_TOO_MANY_CONNECTIONS OURO_ESQL('5', '3', '3', '0', '0')
/** The statement was cancelled, or took longer than the server allows (57014). */
#define OURO_ESQL_QUERY_CANCELED OURO_ESQL('5', '7', '0', '1', '4')
/** The server ended the session: by an administrator, or since it shuts down (57P01). */
#define OURO_ESQL_ADMIN_SHUTDOWN OURO_ESQL('5', '7', 'P', '0', '1')

OURO_BEGIN_DECLS

/**
 * Text of an error.
 *
 * @param rc  A result: negative errno, negative ouro code; 0 and up read "success".
 * @return A static string, never NULL.   @thread Any.
 */
const char *ouro_strerror(int64_t rc);

/**
 * The signal that an error tells of.
 *
 * @param rc  A result.
 * @return The number, if it is -OURO_ESIGNALED(number); else 0.   @thread Any.
 */
int ouro_signal_of(int64_t rc);

/**
 * The SQLSTATE that an error tells of.
 *
 * @param rc        A result.
 * @param ret_text  Receives its five characters and a zero; empty if it is not -OURO_ESQL(...).
 * @return 1 if it is, else 0.   @thread Any.
 */
int ouro_sqlstate(int64_t rc, char ret_text[6]);

/**
 * Say in a sentence why a loop could not be had on this machine, and what would help.
 *
 * Looks at the machine when called (kernel release, kernel.io_uring_disabled, seccomp, limits), so
 * it needs nothing remembered from the failed call.
 *
 * @param rc   What ouro_loop_new() or ouro_run() returned.
 * @param buf  Receives the text, always terminated when @p size > 0. Yours.
 * @param size Capacity of @p buf in bytes; 512 is plenty.
 * @return Length of the whole text in bytes, like snprintf(3).   @thread Any.
 */
size_t ouro_explain(int64_t rc, char *buf, size_t size);

/** What a report is about. */
typedef enum ouro_report_kind {
    OURO_REPORT_UNREAD_ERROR = 1, /**< a future failed, and its last reference went unread */
    OURO_REPORT_BROKEN_PROMISE,   /**< a promise was freed before it was resolved */
    OURO_REPORT_LEAK,           /**< alive when its loop closed; or a task has ended inside a scope,
                                       or with a mutex it had locked */
    OURO_REPORT_ABANDONED,      /**< shutdown's deadline passed; memory is leaked on purpose */
    OURO_REPORT_SLOW_STEP,      /**< debug: a task step or a callback held the loop too long */
    OURO_REPORT_CANCEL_IGNORED, /**< debug: a task goes on awaiting after it was cancelled */
    OURO_REPORT_WRONG_THREAD,   /**< an object was released, in debug mode also used, by a thread
                                       that does not own it; reported there */
    OURO_REPORT_CYCLE,          /**< debug: tasks wait for each other in a ring */
    OURO_REPORT_STACK,          /**< debug, at close: the deepest that any task's stack went */
    OURO_REPORT_OVERLOAD        /**< a listener has paused: no descriptors or no memory are left for
                                       what wants to connect */
} ouro_report_kind;

/** One report. Everything in it is borrowed for the time of the handler's call. */
typedef struct ouro_report {
    ouro_report_kind kind; /**< what it is about */
    int64_t error;         /**< the error, or 0 */
    ouro_ns duration;      /**< SLOW_STEP: how long it took; else 0 */
    const char *what;      /**< kind of the object: "task", "sleep", "call", ... */
    const char *name;      /**< name of the task, or NULL */
    const char *message;   /**< one sentence, without a newline */
    void *const *frames;   /**< debug: return addresses, innermost first: where it was created, or
                              for SLOW_STEP where it stopped; NULL when unknown */
    size_t frame_count;    /**< how many */
} ouro_report;

/** Receives reports on the loop's thread. It may not run, close or shut down a loop. */
typedef void ouro_report_fn(const ouro_report *report, void *arg);

/**
 * Replace the report handler of the calling thread's loop.
 *
 * The handler a loop starts with prints one line on standard error, and in debug mode the frames.
 *
 * @param fn   Handler, or NULL for the one it started with.
 * @param arg  Passed to @p fn. Borrowed; must live as long as the handler is set.
 * @return 0, -EPERM (no loop on this thread), -ECHILD (forked).   @thread Loop thread only.
 */
int ouro_report_set_handler(ouro_report_fn *fn, void *arg);

OURO_END_DECLS

#endif
