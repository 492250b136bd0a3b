/*
 * db: the only file that speaks libpq.
 *
 * The shape that a statement must answer with is part of each call; another shape is an error.
 * Statements are either compiled-in files of sql/query (struct query) or text composed by the plan
 * from names quoted by the catalogue; values are always parameters.
 * Server errors reach struct err as db_error.h says: DETAIL and row values are never copied.
 *   40001 40P01 55P03 -> ERR_RETRY;  class 57P0x, 08xxx, broken socket -> ERR_LOST;
 *   COMMIT under way, and no answer came -> ERR_UNKNOWN;  EX5xx (raised by our own
 *   functions as a safeguard) -> ERR_REFUSED;  anything else -> ERR_FAILED.
 * A statement outside a transaction is its own COMMIT: lost under way, it is ERR_UNKNOWN too, unless
 * it starts with SELECT, VALUES, TABLE or SHOW. (A SELECT of a function that writes belongs in a transaction.)
 */
#ifndef EXPUNGE_SVC_DB_H
#define EXPUNGE_SVC_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct db;
struct db_result;

enum db_shape {
	DB_NONE,  /* a command; no rows */
	DB_ONE,   /* exactly one row */
	DB_MAYBE, /* no row or one */
	DB_MANY   /* any number */
};

/* One file of sql/query; build/gen/query.h declares one constant for each. */
struct query {
	const char *name;
	const char *sql;
	int n_params;
	enum db_shape shape;
};

struct db_options {
	const char *conninfo; /* as in the configuration; PG* environment variables fill gaps */
	const char *source;   /* where that stands, for messages: a constant; NULL: "database.conninfo" */
	const char *user;     /* overrides the conninfo's user; may be NULL */
	const char *name;     /* application_name: "expunge erase" */
	int connect_timeout_s;
	int network_timeout_s; /* of either side, for a connection over TCP that is dead; 0 leaves it to the systems */
	int lock_timeout_ms;
	int statement_timeout_ms; /* 0 is none */
	bool read_write;          /* SET default_transaction_read_only = off for databases that are read-only by default */
	bool all_rows;            /* SET row_security = off: a policy that would hide rows from us is an error */
};

/* Connects, and sets the session up: search_path = pg_catalog (pg_temp last), UTF8, UTC, ISO dates, time-outs,
 * standard_conforming_strings, terse errors, keepalives; sslmode=verify-full unless conninfo says
 * (or a service file, or PGSSLMODE) otherwise or the host is a local socket. Refuses a transaction
 * pooler (backend pid differs). A PostgreSQL older than 13 is refused. A server that cannot be
 * reached is ERR_LOST, a malformed conninfo ERR_USAGE (and never quoted: it may hold a password). */
int db_open(struct db **ret, const struct db_options *options, struct err *err);
void db_close(struct db *db);
void db_closep(struct db **db); /* for CLEANUP */

/* Runs one statement. params[i] is text or NULL for SQL NULL. ret may be NULL when no rows are
 * wanted. The result is the caller's: db_result_free(). */
int db_query(struct db *db, const struct query *query, const char *const *params,
	struct db_result **ret, struct err *err);
int db_text(struct db *db, enum db_shape shape, const char *sql, int n_params,
	const char *const *params, struct db_result **ret, struct err *err);
/* The same for a command: *ret_rows (may be NULL) gets the number of rows it touched. */
int db_command(struct db *db, const char *sql, int n_params, const char *const *params,
	int64_t *ret_rows, struct err *err);
/* Several statements in one text without parameters, as in a file of sql/schema; name: for messages.
 * Outside a transaction they are one transaction, unless the text says otherwise. */
int db_script(struct db *db, const char *name, const char *sql, struct err *err);
/* Parameters inline: db_query(db, &QUERY_X, DB_PARAMS(id, NULL), &res, err). */
#define DB_PARAMS(...) ((const char *const[]){ __VA_ARGS__ })

int db_begin(struct db *db, struct err *err);
/* ERR_UNKNOWN when no answer came: the connection was lost while the COMMIT was under way, or there was no memory for
 * the answer. */
int db_commit(struct db *db, struct err *err);
/* Best effort; the connection stays usable, or is marked lost. Never touches an error. */
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);
bool db_is_lost(const struct db *db);
/* Closes and opens again with the same options. */
int db_reopen(struct db *db, struct err *err);
/* Asks the server to stop the statement under way; callable from a signal handler. */
void db_cancel(struct db *db);

/*
 * Pipeline: send many statements in one go, then read their results in the same order.
 *     db_pipeline_begin(); db_send()...; then for each: db_receive(); db_pipeline_end().
 * After the first error every later receive fails with the same error; db_pipeline_end must be
 * called in any case and leaves the connection in ordinary mode. db_send flushes and reads ahead
 * as needed, so that neither side's buffers can deadlock.
 */
int db_pipeline_begin(struct db *db, struct err *err);
int db_send(struct db *db, const char *sql, int n_params, const char *const *params, struct err *err);
int db_receive(struct db *db, enum db_shape shape, struct db_result **ret, int64_t *ret_rows, struct err *err);
int db_pipeline_end(struct db *db, struct err *err);

/* COPY ... FROM STDIN: text rows already encoded by db_copy_escape. An abandoned COPY is ended by
 * db_rollback. */
int db_copy_in_begin(struct db *db, const char *sql, struct err *err);
int db_copy_in_put(struct db *db, const char *bytes, size_t n, struct err *err);
int db_copy_in_end(struct db *db, int64_t *ret_rows, struct err *err);
/* COPY ... TO STDOUT, a row at a time with bounded memory; each row has its line end. each() returning -1 cancels the
 * statement and ends the call; a transaction around it has failed then. each() cannot use the same connection.
 * *ret_rows (may be NULL): how many the server says it has sent. */
int db_copy_out(struct db *db, const char *sql, int (*each)(void *ctx, const char *row, size_t n, struct err *err),
	void *ctx, int64_t *ret_rows, struct err *err);
/* Adds a value (NULL: \N) in COPY text format; the caller adds the tabs and newlines between. */
void db_copy_escape(struct str *row, const char *value);

/* Reads rows of a SELECT one at a time with bounded memory (single-row mode). each() returning -1
 * cancels the statement and ends the call; a transaction around it has failed then. each() cannot use
 * the same connection. */
int db_each(struct db *db, const char *sql, int n_params, const char *const *params,
	int (*each)(void *ctx, const struct db_result *row, struct err *err), void *ctx, struct err *err);

/* "name" quoted as an identifier / 'text' quoted as a literal, by libpq; the caller frees. NULL when
 * the text is malformed UTF-8. */
char *db_quote_name(struct db *db, const char *name);
char *db_quote_literal(struct db *db, const char *text);

/* Warnings and notices since the last call of this kind, by count: VACUUM says "skipping" so. */
int db_take_warnings(struct db *db);

int db_rows(const struct db_result *res);
int db_columns(const struct db_result *res);
const char *db_column_name(const struct db_result *res, int column);
enum db_type { DB_TYPE_TEXT, DB_TYPE_INTEGER, DB_TYPE_NUMERIC, DB_TYPE_BOOL };
enum db_type db_column_type(const struct db_result *res, int column);
/* NULL for SQL NULL. Owned by the result. */
const char *db_get(const struct db_result *res, int row, int column);
/* For columns the query guarantees: a NULL reads as "" / 0 / false. */
const char *db_get_text(const struct db_result *res, int row, int column);
int64_t db_get_int(const struct db_result *res, int row, int column);
bool db_get_bool(const struct db_result *res, int row, int column);
/* A result that comes from no query: for listings of what is not in the database, and for tests. */
struct db_result *db_result_make(int n_columns, const char *const *names, const enum db_type *types);
void db_result_add(struct db_result *res, const char *const *values);
void db_result_free(struct db_result *res);
void db_result_freep(struct db_result **res); /* for CLEANUP */

#endif
