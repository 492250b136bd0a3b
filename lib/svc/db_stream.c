#include "svc/db.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "svc/db_private.h"

/* ---- pipeline ------------------------------------------------------------------------------ */

int
db_pipeline_begin(struct db *db, struct err *err)
{
	if (db_check_idle(db, "beginning a pipeline", err) != 0)
		return -1;
	db->piping_in_transaction = db_in_transaction(db);
	if (PQenterPipelineMode(db->conn) != 1 || PQsetnonblocking(db->conn, 1) != 0)
		return db_fail_local(db, "beginning a pipeline", err);
	db->piping = true;
	db->unflushed = false;
	db->n_sent = db->n_received = 0;
	err_clear(&db->first);
	return 0;
}

/* Keeps the first error of a pipeline, and reports it now and ever after. */
static int
first_error(struct db *db, struct err *err)
{
	if (!db->piping_in_transaction)
		(void)db_doubt(db, &db->first);
	if (err != NULL)
		*err = db->first;
	return -1;
}

/* Sends what is buffered. While the server does not take it, its own answers are read, since it may
 * be waiting for us to do so. */
static int
push(struct db *db)
{
	int left;

	while ((left = PQflush(db->conn)) == 1) {
		struct pollfd ready = { .fd = PQsocket(db->conn), .events = POLLIN | POLLOUT };

		if (poll(&ready, 1, -1) < 0 && errno != EINTR)
			return -1;
		if ((ready.revents & POLLIN) != 0 && PQconsumeInput(db->conn) != 1)
			return -1;
	}
	return left;
}

int
db_send(struct db *db, const char *sql, int n_params, const char *const *params, struct err *err)
{
	if (!db->piping)
		return err_set(err, ERR_FAILED, "sending a statement: no pipeline is open");
	if (db->first.code != ERR_NONE)
		return first_error(db, err);
	*MEM_PUSH(db->sent, db->n_sent) = db_label(sql);
	db->unflushed = true;
	if (PQsendQueryParams(db->conn, sql, n_params, NULL, params, NULL, NULL, 0) == 1 &&
	    (db->n_sent % 64 != 0 || push(db) == 0))
		return 0;
	(void)db_fail_local(db, db->sent[db->n_sent - 1].text, &db->first);
	return first_error(db, err);
}

/* The result of the next statement, with the NULL that ends it taken off; NULL when there is none. */
static PGresult *
next_result(struct db *db)
{
	PGresult *res = PQgetResult(db->conn);
	PGresult *more;

	while (res != NULL && (more = PQgetResult(db->conn)) != NULL)
		PQclear(more);
	return res;
}

int
db_receive(struct db *db, enum db_shape shape, struct db_result **ret, int64_t *ret_rows, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = NULL;
	const char *what;

	if (!db->piping || db->n_received == db->n_sent)
		return err_set(err, ERR_FAILED, "receiving a result: no statement is waiting for one");
	what = db->sent[db->n_received++].text;
	if (db->first.code != ERR_NONE)
		return first_error(db, err);
	/* without a flush the server would keep its answers until the end of the pipeline */
	if (db->unflushed && (PQsendFlushRequest(db->conn) != 1 || push(db) != 0)) {
		(void)db_fail_local(db, what, &db->first);
		return first_error(db, err);
	}
	db->unflushed = false;
	res = next_result(db);
	if (res == NULL) {
		(void)db_fail_lost(db, what, &db->first);
		return first_error(db, err);
	}
	if (db_finish(db, TAKE_PTR(res), shape, what, ret, ret_rows, &db->first) != 0)
		return first_error(db, err);
	return 0;
}

/* Reads up to the answer to our Sync; an error that nobody received is still the pipeline's. */
static void
read_to_sync(struct db *db)
{
	int nothing = 0;

	while (nothing < 2 && PQstatus(db->conn) == CONNECTION_OK) {
		CLEANUP(db_clear) PGresult *res = PQgetResult(db->conn);
		ExecStatusType status = PQresultStatus(res);

		nothing = res == NULL ? nothing + 1 : 0;
		if (res != NULL && status == PGRES_PIPELINE_SYNC)
			return;
		if (res != NULL && status == PGRES_FATAL_ERROR && db->first.code == ERR_NONE)
			(void)db_fail_result(db, res, "a statement of a pipeline", &db->first);
	}
	if (db->first.code == ERR_NONE)
		(void)db_fail_lost(db, "ending a pipeline", &db->first);
	db->lost = true;
}

int
db_pipeline_end(struct db *db, struct err *err)
{
	if (!db->piping)
		return 0;
	if (db->lost || PQpipelineSync(db->conn) != 1 || push(db) != 0) {
		if (db->first.code == ERR_NONE)
			(void)db_fail_lost(db, "ending a pipeline", &db->first);
		db->lost = true;
	} else {
		read_to_sync(db);
	}
	db->piping = false;
	free(db->sent);
	db->sent = NULL;
	if (!db->lost && (PQexitPipelineMode(db->conn) != 1 || PQsetnonblocking(db->conn, 0) != 0))
		(void)db_fail_lost(db, "ending a pipeline", &db->first);
	return db->first.code == ERR_NONE ? 0 : first_error(db, err);
}

/* ---- COPY ---------------------------------------------------------------------------------- */

void
db_copy_escape(struct str *row, const char *value)
{
	if (value == NULL) {
		str_add(row, "\\N");
		return;
	}
	while (*value != '\0') {
		size_t plain = strcspn(value, "\\\t\n\r");

		str_add_n(row, value, plain);
		value += plain;
		if (*value == '\0')
			break;
		str_add(row, *value == '\\' ? "\\\\" : *value == '\t' ? "\\t" : *value == '\n' ? "\\n" : "\\r");
		value++;
	}
}

int
db_copy_in_begin(struct db *db, const char *sql, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = NULL;

	if (db_check_idle(db, db_label(sql).text, err) != 0)
		return -1;
	res = PQexec(db->conn, sql);
	if (PQresultStatus(res) == PGRES_COPY_IN)
		return 0;
	if (PQresultStatus(res) == PGRES_FATAL_ERROR)
		return db_fail_result(db, res, db_label(sql).text, err);
	db_drain(db);
	return err_set(err, ERR_FAILED, "%s: not a COPY FROM STDIN", db_label(sql).text);
}

int
db_copy_in_put(struct db *db, const char *bytes, size_t n, struct err *err)
{
	while (n > 0) {
		int part = n > (size_t)1 << 30 ? 1 << 30 : (int)n;

		if (PQputCopyData(db->conn, bytes, part) != 1)
			return db_fail_local(db, "COPY", err);
		bytes += part;
		n -= (size_t)part;
	}
	return 0;
}

int
db_copy_in_end(struct db *db, int64_t *ret_rows, struct err *err)
{
	int64_t rows = 0;
	int failed = 0;
	bool ended = false;
	PGresult *res;

	if (PQputCopyEnd(db->conn, NULL) != 1)
		return db_fail_local(db, "COPY", err);
	while ((res = PQgetResult(db->conn)) != NULL) {
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			failed = db_fail_result(db, res, "COPY", err);
		else
			ended = parse_int64(PQcmdTuples(res), 0, INT64_MAX, &rows) == 0;
		PQclear(res);
	}
	if (failed == 0 && !ended)
		return db_fail_lost(db, "COPY", err);
	if (failed == 0 && ret_rows != NULL)
		*ret_rows = rows;
	return failed;
}

/* The server sends rows until it is told otherwise, and what it has sent already must be read. */
static int
abandon_copy_out(struct db *db)
{
	char *row = NULL;

	db_cancel(db);
	while (PQgetCopyData(db->conn, &row, 0) > 0)
		PQfreemem(row);
	db_drain(db);
	return -1;
}

/* The word of the server behind the last row; without it, rows that stopped coming would look like all of them. */
static int
end_copy_out(struct db *db, const char *what, int64_t *ret_rows, struct err *err)
{
	int64_t rows = 0;
	int failed = 0;
	bool ended = false;
	PGresult *res;

	while ((res = PQgetResult(db->conn)) != NULL) {
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			failed = db_fail_result(db, res, what, err);
		else
			ended = parse_int64(PQcmdTuples(res), 0, INT64_MAX, &rows) == 0;
		PQclear(res);
	}
	if (failed == 0 && !ended)
		return db_fail_lost(db, what, err);
	if (failed == 0 && ret_rows != NULL)
		*ret_rows = rows;
	return failed;
}

int
db_copy_out(struct db *db, const char *sql, int (*each)(void *ctx, const char *row, size_t n, struct err *err), void *ctx,
	int64_t *ret_rows, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = NULL;
	struct label what = db_label(sql);
	char *row = NULL;
	int n;

	if (db_check_idle(db, what.text, err) != 0)
		return -1;
	res = PQexec(db->conn, sql);
	if (PQresultStatus(res) == PGRES_FATAL_ERROR)
		return db_fail_result(db, res, what.text, err);
	if (PQresultStatus(res) != PGRES_COPY_OUT) {
		db_drain(db);
		return err_set(err, ERR_FAILED, "%s: not a COPY TO STDOUT", what.text);
	}
	while ((n = PQgetCopyData(db->conn, &row, 0)) > 0) {
		int failed = each(ctx, row, (size_t)n, err);

		PQfreemem(row);
		if (failed != 0)
			return abandon_copy_out(db);
	}
	if (n == -1)
		return end_copy_out(db, what.text, ret_rows, err);
	(void)db_fail_local(db, what.text, err);
	db_drain(db);
	return -1;
}

/* ---- row by row ---------------------------------------------------------------------------- */

/* One result of single-row mode: a row, the end, or an error. */
static int
take_row(struct db *db, PGresult *given, const char *what,
	int (*each)(void *ctx, const struct db_result *row, struct err *err), void *ctx, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = given;
	struct db_result row = { res };

	switch (PQresultStatus(res)) {
	case PGRES_SINGLE_TUPLE:
		return each(ctx, &row, err);
	case PGRES_TUPLES_OK:
		return 0;
	case PGRES_COMMAND_OK:
		return err_set(err, ERR_FAILED, "%s: it returns no rows", what);
	default:
		return db_fail_result(db, res, what, err);
	}
}

int
db_each(struct db *db, const char *sql, int n_params, const char *const *params,
	int (*each)(void *ctx, const struct db_result *row, struct err *err), void *ctx, struct err *err)
{
	struct label what = db_label(sql);
	bool ended = false;
	PGresult *res;

	if (db_check_idle(db, what.text, err) != 0)
		return -1;
	if (PQsendQueryParams(db->conn, sql, n_params, NULL, params, NULL, NULL, 0) != 1 ||
	    PQsetSingleRowMode(db->conn) != 1)
		return db_fail_local(db, what.text, err);
	while ((res = PQgetResult(db->conn)) != NULL) {
		ended = PQresultStatus(res) == PGRES_TUPLES_OK;
		if (take_row(db, res, what.text, each, ctx, err) != 0) {
			if (PQtransactionStatus(db->conn) == PQTRANS_ACTIVE)
				db_cancel(db);
			db_drain(db);
			return -1;
		}
	}
	/* rows that stopped coming must not look like all of them */
	return ended ? 0 : db_fail_lost(db, what.text, err);
}

/* ---- quoting ------------------------------------------------------------------------------- */

static char *
own_copy(char *quoted)
{
	char *copy = mem_copy(quoted);

	PQfreemem(quoted);
	return copy;
}

char *
db_quote_name(struct db *db, const char *name)
{
	return own_copy(PQescapeIdentifier(db->conn, name, strlen(name)));
}

char *
db_quote_literal(struct db *db, const char *text)
{
	return own_copy(PQescapeLiteral(db->conn, text, strlen(text)));
}
