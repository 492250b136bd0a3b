#include "svc/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "svc/db_error.h"
#include "svc/db_private.h"

void
db_clear(PGresult **res)
{
	PQclear(*res);
}

struct label
db_label(const char *sql)
{
	struct label label;
	size_t n = 0;

	sql += strspn(sql, " \t\n");
	while (sql[0] == '-' && sql[1] == '-') {
		sql += strcspn(sql, "\n");
		sql += strspn(sql, " \t\n");
	}
	for (; *sql != '\0' && n < LABEL_SIZE - 4; sql++) {
		char c = *sql == '\t' || *sql == '\n' ? ' ' : *sql;

		if (c != ' ' || (n > 0 && label.text[n - 1] != ' '))
			label.text[n++] = c;
	}
	while (n > 0 && label.text[n - 1] == ' ')
		n--;
	(void)snprintf(label.text + n, 4, "%s", *sql == '\0' ? "" : "...");
	return label;
}

bool
db_only_reads(const char *label)
{
	static const char *const words[] = { "SELECT ", "VALUES", "TABLE ", "SHOW " };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncasecmp(label, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

void
db_add_line(struct str *text, const char *message)
{
	size_t n = strlen(message);

	while (n > 0 && message[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = message[i] == '\n' || message[i] == '\t' ? ' ' : message[i];

		if (c != ' ' || (text->len > 0 && text->s[text->len - 1] != ' '))
			str_add_n(text, &c, 1);
	}
}

int
db_fail_lost(struct db *db, const char *what, struct err *err)
{
	db->lost = true;
	return err_set(err, ERR_LOST, "%s: the connection to the database is lost", what);
}

int
db_fail_local(struct db *db, const char *what, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (PQstatus(db->conn) == CONNECTION_BAD)
		return db_fail_lost(db, what, err);
	db_add_line(&text, PQerrorMessage(db->conn));
	return err_set(err, ERR_FAILED, "%s: %s", what, str_cstr(&text));
}

int
db_fail_result(struct db *db, const PGresult *res, const char *what, struct err *err)
{
	struct db_report report = {
		.severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED),
		.sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE),
		.primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
		.hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT),
		.schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME),
		.table = PQresultErrorField(res, PG_DIAG_TABLE_NAME),
		.column = PQresultErrorField(res, PG_DIAG_COLUMN_NAME),
		.constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME),
		.context = PQresultErrorField(res, PG_DIAG_CONTEXT),
	};
	struct err own;

	db->unanswered = report.sqlstate == NULL;
	if (db->unanswered)
		return db_fail_local(db, what, err);
	(void)db_error_set(&own, what, &report);
	if (own.code == ERR_LOST || PQstatus(db->conn) == CONNECTION_BAD) {
		own.code = ERR_LOST;
		db->lost = true;
	}
	if (err != NULL)
		*err = own;
	return -1;
}

int
db_doubt(const struct db *db, struct err *err)
{
	if (err != NULL && (err->code == ERR_LOST || (err->code == ERR_FAILED && db->unanswered))) {
		err->code = ERR_UNKNOWN;
		err_hint(err, "it may have been committed: look before doing it again");
	}
	return -1;
}

bool
db_is_lost(const struct db *db)
{
	return db->lost;
}

bool
db_in_transaction(const struct db *db)
{
	PGTransactionStatusType status = PQtransactionStatus(db->conn);

	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

int
db_take_warnings(struct db *db)
{
	int n = db->warnings;

	db->warnings = 0;
	return n;
}

/* ---- statements ---------------------------------------------------------------------------- */

int
db_check_idle(struct db *db, const char *what, struct err *err)
{
	db->unanswered = false;
	if (db->lost || PQstatus(db->conn) == CONNECTION_BAD)
		return db_fail_lost(db, what, err);
	if (db->piping || PQtransactionStatus(db->conn) == PQTRANS_ACTIVE)
		return err_set(err, ERR_FAILED, "%s: the connection is busy with another statement", what);
	return 0;
}

static int
check_shape(const PGresult *res, enum db_shape shape, const char *what, struct err *err)
{
	int rows = PQntuples(res);

	switch (shape) {
	case DB_NONE:
		return rows == 0 ? 0 : err_set(err, ERR_FAILED, "%s: no rows were expected, %d came", what, rows);
	case DB_ONE:
		if (rows != 1)
			return err_set(err, ERR_FAILED, "%s: one row was expected, %d came", what, rows);
		break;
	case DB_MAYBE:
		if (rows > 1)
			return err_set(err, ERR_FAILED, "%s: at most one row was expected, %d came", what, rows);
		break;
	case DB_MANY:
		break;
	}
	return PQresultStatus(res) == PGRES_TUPLES_OK ? 0 : err_set(err, ERR_FAILED, "%s: it returns no rows", what);
}

int
db_finish(struct db *db, PGresult *given, enum db_shape shape, const char *what, struct db_result **ret,
	int64_t *ret_rows, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = given;
	ExecStatusType status = PQresultStatus(res);
	int64_t rows = 0;

	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
		db->lost = true; /* the protocol is out of step; only a new connection helps */
		return err_set(err, ERR_FAILED, "%s: COPY is not run this way", what);
	}
	if (status == PGRES_EMPTY_QUERY)
		return err_set(err, ERR_FAILED, "%s: the statement is empty", what);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		return db_fail_result(db, res, what, err);
	if (check_shape(res, shape, what, err) != 0)
		return -1;
	(void)parse_int64(PQcmdTuples(res), 0, INT64_MAX, &rows);
	if (ret_rows != NULL)
		*ret_rows = rows;
	if (ret != NULL) {
		*ret = mem_zero(1, sizeof(**ret));
		(*ret)->res = TAKE_PTR(res);
	}
	return 0;
}

static int
run(struct db *db, const char *what, enum db_shape shape, const char *sql, int n_params, const char *const *params,
	struct db_result **ret, int64_t *ret_rows, struct err *err)
{
	bool sole;

	if (db_check_idle(db, what, err) != 0)
		return -1;
	sole = PQtransactionStatus(db->conn) == PQTRANS_IDLE && !db_only_reads(db_label(sql).text);
	if (db_finish(db, PQexecParams(db->conn, sql, n_params, NULL, params, NULL, NULL, 0), shape, what, ret, ret_rows,
		    err) == 0)
		return 0;
	return sole ? db_doubt(db, err) : -1;
}

int
db_query(struct db *db, const struct query *query, const char *const *params, struct db_result **ret, struct err *err)
{
	return run(db, query->name, query->shape, query->sql, query->n_params, params, ret, NULL, err);
}

int
db_text(struct db *db, enum db_shape shape, const char *sql, int n_params, const char *const *params,
	struct db_result **ret, struct err *err)
{
	return run(db, db_label(sql).text, shape, sql, n_params, params, ret, NULL, err);
}

int
db_command(struct db *db, const char *sql, int n_params, const char *const *params, int64_t *ret_rows, struct err *err)
{
	return run(db, db_label(sql).text, DB_NONE, sql, n_params, params, NULL, ret_rows, err);
}

int
db_script(struct db *db, const char *name, const char *sql, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = NULL;
	ExecStatusType status;
	bool sole;

	if (db_check_idle(db, name, err) != 0)
		return -1;
	sole = PQtransactionStatus(db->conn) == PQTRANS_IDLE;
	res = PQexec(db->conn, sql);
	status = PQresultStatus(res);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return 0;
	(void)db_fail_result(db, res, name, err);
	return sole ? db_doubt(db, err) : -1;
}

int
db_begin(struct db *db, struct err *err)
{
	if (db_in_transaction(db) && !db->lost)
		return err_set(err, ERR_FAILED, "beginning a transaction: one is open already");
	return run(db, "BEGIN", DB_NONE, "BEGIN", 0, NULL, NULL, NULL, err);
}

int
db_commit(struct db *db, struct err *err)
{
	CLEANUP(db_clear) PGresult *res = NULL;

	if (db_check_idle(db, "COMMIT", err) != 0)
		return -1;
	if (!db_in_transaction(db))
		return err_set(err, ERR_FAILED, "COMMIT: no transaction is open");
	res = PQexec(db->conn, "COMMIT");
	if (PQresultStatus(res) != PGRES_COMMAND_OK) {
		(void)db_fail_result(db, res, "COMMIT", err);
		return db_doubt(db, err);
	}
	/* the server answers the COMMIT of a failed transaction without an error */
	if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
		return err_set(err, ERR_FAILED, "COMMIT: the transaction had failed and was rolled back");
	return 0;
}

void
db_drain(struct db *db)
{
	PGresult *res;

	while (PQstatus(db->conn) == CONNECTION_OK && (res = PQgetResult(db->conn)) != NULL) {
		ExecStatusType status = PQresultStatus(res);

		PQclear(res);
		if (status == PGRES_COPY_IN && PQputCopyEnd(db->conn, "abandoned") != 1)
			break;
		if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
			db->lost = true;
			break;
		}
	}
	if (PQstatus(db->conn) != CONNECTION_OK)
		db->lost = true;
}

void
db_rollback(struct db *db)
{
	CLEANUP(db_clear) PGresult *res = NULL;

	if (db->lost)
		return;
	(void)db_pipeline_end(db, NULL);
	db_drain(db);
	if (db->lost || !db_in_transaction(db))
		return;
	res = PQexec(db->conn, "ROLLBACK");
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		db->lost = true;
}

/* ---- results ------------------------------------------------------------------------------- */

int
db_rows(const struct db_result *res)
{
	return PQntuples(res->res);
}

int
db_columns(const struct db_result *res)
{
	return PQnfields(res->res);
}

const char *
db_column_name(const struct db_result *res, int column)
{
	return PQfname(res->res, column);
}

/* the oids of pg_catalog's own types never change */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_FLOAT4 = 700, OID_FLOAT8 = 701,
	OID_NUMERIC = 1700 };

enum db_type
db_column_type(const struct db_result *res, int column)
{
	switch (PQftype(res->res, column)) {
	case OID_BOOL:
		return DB_TYPE_BOOL;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		return DB_TYPE_INTEGER;
	case OID_FLOAT4:
	case OID_FLOAT8:
	case OID_NUMERIC:
		return DB_TYPE_NUMERIC;
	default:
		return DB_TYPE_TEXT;
	}
}

const char *
db_get(const struct db_result *res, int row, int column)
{
	if (row < 0 || row >= PQntuples(res->res) || column < 0 || column >= PQnfields(res->res))
		return NULL;
	return PQgetisnull(res->res, row, column) ? NULL : PQgetvalue(res->res, row, column);
}

const char *
db_get_text(const struct db_result *res, int row, int column)
{
	const char *text = db_get(res, row, column);

	return text == NULL ? "" : text;
}

int64_t
db_get_int(const struct db_result *res, int row, int column)
{
	int64_t v = 0;

	(void)parse_int64(db_get_text(res, row, column), INT64_MIN, INT64_MAX, &v);
	return v;
}

bool
db_get_bool(const struct db_result *res, int row, int column)
{
	return strcmp(db_get_text(res, row, column), "t") == 0;
}

struct db_result *
db_result_make(int n_columns, const char *const *names, const enum db_type *types)
{
	static const Oid oid[] = { [DB_TYPE_TEXT] = OID_TEXT, [DB_TYPE_INTEGER] = OID_INT8,
		[DB_TYPE_NUMERIC] = OID_NUMERIC, [DB_TYPE_BOOL] = OID_BOOL };
	struct db_result *res = mem_zero(1, sizeof(*res));
	PGresAttDesc *columns = mem_zero((size_t)n_columns, sizeof(*columns));

	for (int i = 0; i < n_columns; i++) {
		columns[i].name = mem_copy(names[i]);
		columns[i].typid = oid[types == NULL ? DB_TYPE_TEXT : types[i]];
	}
	res->res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	(void)PQsetResultAttrs(res->res, n_columns, columns);
	for (int i = 0; i < n_columns; i++)
		free(columns[i].name);
	free(columns);
	return res;
}

void
db_result_add(struct db_result *res, const char *const *values)
{
	int row = PQntuples(res->res);

	for (int i = 0; i < PQnfields(res->res); i++) {
		CLEANUP(free_text) char *value = mem_copy(values[i]);

		(void)PQsetvalue(res->res, row, i, value, value == NULL ? -1 : (int)strlen(value));
	}
}

void
db_result_free(struct db_result *res)
{
	if (res == NULL)
		return;
	PQclear(res->res);
	free(res);
}

void
db_result_freep(struct db_result **res)
{
	db_result_free(*res);
	*res = NULL;
}
