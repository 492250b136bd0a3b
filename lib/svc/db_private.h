/*
 * What the files of the database layer share: db_connect.c makes connections, db.c runs statements
 * and transactions, db_stream.c does what takes several turns. No other file speaks libpq.
 */
#ifndef EXPUNGE_SVC_DB_PRIVATE_H
#define EXPUNGE_SVC_DB_PRIVATE_H

#include <libpq-fe.h>

#include "base/str.h"
#include "svc/db.h"

#define LABEL_SIZE 72

/* what a statement is called in messages: its query file, or how its text begins */
struct label {
	char text[LABEL_SIZE];
};

struct db {
	PGconn *conn;
	PGcancel *cancel; /* made on connect: a signal handler can make nothing */
	struct db_options options;
	char *conninfo, *user, *name; /* what options point to */
	bool lost;
	bool unanswered; /* the last statement failed, and not by a word of the server */
	int warnings;
	/* pipeline */
	bool piping, piping_in_transaction, unflushed;
	struct label *sent;
	size_t n_sent, n_received;
	struct err first; /* error of the pipeline */
};

struct db_result {
	PGresult *res;
};

void db_clear(PGresult **res); /* for CLEANUP */
struct label db_label(const char *sql);
/* True for a statement that changes nothing by itself. */
bool db_only_reads(const char *label);
/* libpq's own text on one line; what it says of a connection holds no password. */
void db_add_line(struct str *text, const char *message);

/* Each sets err and returns -1: the connection is gone; libpq found a failure; the server did. */
int db_fail_lost(struct db *db, const char *what, struct err *err);
int db_fail_local(struct db *db, const char *what, struct err *err);
int db_fail_result(struct db *db, const PGresult *res, const char *what, struct err *err);
/* What was its own COMMIT may have happened when no answer came: ERR_LOST, or libpq's own failure, becomes ERR_UNKNOWN. */
int db_doubt(const struct db *db, struct err *err);

/* Refuses when the connection is lost or in the middle of something. */
int db_check_idle(struct db *db, const char *what, struct err *err);
/* Checks a result, and hands it over to *ret or frees it; ret and ret_rows may be NULL. */
int db_finish(struct db *db, PGresult *given, enum db_shape shape, const char *what, struct db_result **ret,
	int64_t *ret_rows, struct err *err);
/* Throws away what is still to come of a statement under way. */
void db_drain(struct db *db);

#endif
