#include "libpq.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* what a result says besides its rows */
struct words {
	const PGresult *res;
	char tag[32];
	char sqlstate[8];
	char severity[8];
	char primary[80];
	bool served; /* by a server: it has fields */
	struct words *next;
};

#define QUEUE 64

struct pg_conn {
	ConnStatusType status;
	PGTransactionStatusType transaction;
	PGpipelineStatus pipeline;
	bool copying;
	const struct fake_answer *copied; /* whose rows go out */
	const struct fake_answer *pending[QUEUE]; /* NULL: the end of a statement */
	int head, tail;
	int rows_left; /* of a statement that is read row by row */
	bool by_row, synced;
	int socket;
};

struct pg_cancel {
	int unused;
};

struct fake_server fake_server = { .version = 150000, .backend = 77 };
static const struct fake_answer *script;
static size_t script_n, script_at;
static char problem[200];
static struct words *all;
static const struct fake_answer aborted = { "", FAKE_EMPTY, 0, "aborted", NULL }, sync_point = { "", FAKE_EMPTY, 0, "sync", NULL };
static const struct fake_answer broken = { "", FAKE_LOST, 0, NULL, NULL };

static bool
breaks(const char *function)
{
	return fake_server.breaks != NULL && strcmp(fake_server.breaks, function) == 0;
}

void
fake_script(const struct fake_answer *answers, size_t n)
{
	script = answers;
	script_n = n;
	script_at = 0;
	problem[0] = '\0';
	fake_server = (struct fake_server){ .version = 150000, .backend = 77 };
}

const char *
fake_problems(void)
{
	if (problem[0] == '\0' && script_at < script_n)
		(void)snprintf(problem, sizeof(problem), "never asked: %s", script[script_at].sql);
	return problem;
}

static const struct fake_answer *
next_answer(const char *sql)
{
	static const struct fake_answer begin = { "BEGIN", FAKE_COMMAND, 0, "BEGIN", NULL },
					rollback = { "ROLLBACK", FAKE_COMMAND, 0, "ROLLBACK", NULL }, set = { "SET", FAKE_COMMAND, 0, "SET", NULL };
	static struct fake_answer pid = { "SELECT", FAKE_ROWS, 1, NULL, NULL };
	static char text[16];

	if (script_at < script_n && strncmp(sql, script[script_at].sql, strlen(script[script_at].sql)) == 0)
		return &script[script_at++];
	if (strncmp(sql, "SELECT pg_catalog.pg_backend_pid()", 34) == 0) {
		(void)snprintf(text, sizeof(text), "%d", fake_server.backend);
		pid.text = text;
		return &pid;
	}
	if (strncmp(sql, "SET search_path", 15) == 0) {
		fake_server.seen_idle_timeout = strstr(sql, "idle_session_timeout") != NULL;
		return &set;
	}
	if (strcmp(sql, "BEGIN") == 0)
		return &begin;
	if (strcmp(sql, "ROLLBACK") == 0)
		return &rollback;
	if (problem[0] == '\0')
		(void)snprintf(problem, sizeof(problem), "not in the script: %.150s", sql);
	return &broken;
}

/* ---- results ------------------------------------------------------------------------------- */

static struct words *
words_of(const PGresult *res)
{
	for (struct words *w = all; w != NULL; w = w->next)
		if (w->res == res)
			return w;
	return NULL;
}

static PGresult *
make_result(ExecStatusType status, const struct fake_answer *answer, const char *severity)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, status);
	struct words *w = calloc(1, sizeof(*w));

	if (res == NULL || w == NULL)
		abort();
	w->res = res;
	w->next = all;
	all = w;
	(void)snprintf(w->severity, sizeof(w->severity), "%s", severity);
	(void)snprintf(w->tag, sizeof(w->tag), "%s", status == PGRES_COMMAND_OK ? answer->text : "");
	w->served = answer->sqlstate != NULL;
	(void)snprintf(w->sqlstate, sizeof(w->sqlstate), "%s", answer->sqlstate == NULL ? "" : answer->sqlstate);
	(void)snprintf(w->primary, sizeof(w->primary), "%s", answer->text == NULL ? "" : answer->text);
	return res;
}

static PGresult *
make_rows(const struct fake_answer *answer, int n, ExecStatusType status)
{
	PGresult *res = make_result(status, answer, "");
	char name[] = "value";
	PGresAttDesc column = { .name = name, .typid = 25 };

	(void)PQsetResultAttrs(res, 1, &column);
	for (int i = 0; i < n; i++)
		(void)PQsetvalue(res, i, 0, (char *)(uintptr_t)answer->text, (int)strlen(answer->text));
	return res;
}

static void
lose(PGconn *conn)
{
	conn->status = CONNECTION_BAD;
	conn->transaction = PQTRANS_UNKNOWN;
}

/* What a server would make of the transaction. */
static void
follow(PGconn *conn, const struct fake_answer *answer)
{
	const char *tag = answer->text == NULL ? "" : answer->text;

	if (answer->kind == FAKE_ERROR && conn->transaction == PQTRANS_INTRANS)
		conn->transaction = PQTRANS_INERROR;
	else if (answer->kind == FAKE_COMMAND && strcmp(tag, "BEGIN") == 0)
		conn->transaction = PQTRANS_INTRANS;
	else if (answer->kind == FAKE_COMMAND && (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "ROLLBACK") == 0))
		conn->transaction = PQTRANS_IDLE;
}

static PGresult *
carry_out(PGconn *conn, const struct fake_answer *answer)
{
	follow(conn, answer);
	switch (answer->kind) {
	case FAKE_COMMAND:
		return make_result(PGRES_COMMAND_OK, answer, "");
	case FAKE_ROWS:
		return make_rows(answer, answer->n, PGRES_TUPLES_OK);
	case FAKE_ERROR:
		return make_result(PGRES_FATAL_ERROR, answer, "ERROR");
	case FAKE_FATAL:
		lose(conn);
		return make_result(PGRES_FATAL_ERROR, answer, "FATAL");
	case FAKE_LOST:
		lose(conn);
		return make_result(PGRES_FATAL_ERROR, answer, "");
	case FAKE_SILENT:
		return NULL;
	case FAKE_COPY_IN:
		conn->copying = true;
		return make_result(PGRES_COPY_IN, answer, "");
	case FAKE_COPY_OUT:
		conn->copied = answer;
		conn->rows_left = answer->n;
		return make_result(PGRES_COPY_OUT, answer, "");
	case FAKE_EMPTY:
		break;
	}
	return make_result(answer == &aborted ? PGRES_PIPELINE_ABORTED : answer == &sync_point ? PGRES_PIPELINE_SYNC
		: PGRES_EMPTY_QUERY, answer, "");
}

char *
PQresultErrorField(const PGresult *res, int field)
{
	struct words *w = res == NULL ? NULL : words_of(res);

	if (w == NULL || !w->served)
		return NULL;
	return field == PG_DIAG_SQLSTATE ? w->sqlstate : field == PG_DIAG_SEVERITY_NONLOCALIZED ? w->severity
	     : field == PG_DIAG_MESSAGE_PRIMARY ? w->primary : NULL;
}

char *
PQcmdStatus(PGresult *res)
{
	struct words *w = words_of(res);

	return w == NULL ? NULL : w->tag;
}

char *
PQcmdTuples(PGresult *res)
{
	struct words *w = words_of(res);
	char *last = w == NULL ? NULL : strrchr(w->tag, ' ');

	return last == NULL ? (char *)(uintptr_t) "" : last + 1;
}

void
PQclear(PGresult *res)
{
	static void (*real)(PGresult *);

	if (real == NULL)
		real = (void (*)(PGresult *))dlsym(RTLD_NEXT, "PQclear");
	for (struct words **at = &all; *at != NULL; at = &(*at)->next)
		if (res != NULL && (*at)->res == res) {
			struct words *w = *at;

			*at = w->next;
			free(w);
			break;
		}
	real(res);
}

/* ---- connections --------------------------------------------------------------------------- */

PGconn *
PQconnectdbParams(const char *const *keywords, const char *const *values, int expand)
{
	PGconn *conn = calloc(1, sizeof(*conn));

	(void)keywords;
	(void)values;
	(void)expand;
	if (conn == NULL || breaks("PQconnectdbParams")) {
		free(conn);
		return NULL;
	}
	conn->socket = open("/dev/null", O_RDWR | O_CLOEXEC);
	return conn;
}

void
PQfinish(PGconn *conn)
{
	if (conn != NULL)
		(void)close(conn->socket);
	free(conn);
}

ConnStatusType
PQstatus(const PGconn *conn)
{
	return conn == NULL ? CONNECTION_BAD : conn->status;
}

PGTransactionStatusType
PQtransactionStatus(const PGconn *conn)
{
	return conn == NULL ? PQTRANS_UNKNOWN : conn->head < conn->tail || conn->copying ? PQTRANS_ACTIVE : conn->transaction;
}

char *
PQerrorMessage(const PGconn *conn)
{
	return (char *)(uintptr_t)(conn == NULL ? "out of memory\n" : "libpq says so\n");
}

int
PQserverVersion(const PGconn *conn)
{
	(void)conn;
	return fake_server.version;
}

int
PQbackendPID(const PGconn *conn)
{
	(void)conn;
	return 77;
}

int
PQsocket(const PGconn *conn)
{
	return conn->socket;
}

PGcancel *
PQgetCancel(PGconn *conn)
{
	(void)conn;
	return breaks("PQgetCancel") ? NULL : calloc(1, sizeof(struct pg_cancel));
}

void
PQfreeCancel(PGcancel *cancel)
{
	free(cancel);
}

int
PQcancel(PGcancel *cancel, char *message, int n)
{
	(void)cancel;
	fake_server.cancels++;
	(void)snprintf(message, (size_t)n, "cannot reach the server");
	return 0;
}

PGVerbosity
PQsetErrorVerbosity(PGconn *conn, PGVerbosity verbosity)
{
	(void)conn;
	return verbosity;
}

PQnoticeReceiver
PQsetNoticeReceiver(PGconn *conn, PQnoticeReceiver receiver, void *arg)
{
	(void)conn;
	(void)arg;
	return receiver;
}

char *
PQescapeIdentifier(PGconn *conn, const char *text, size_t n)
{
	(void)conn;
	(void)text;
	(void)n;
	return NULL;
}

char *
PQescapeLiteral(PGconn *conn, const char *text, size_t n)
{
	return PQescapeIdentifier(conn, text, n);
}

/* ---- statements ---------------------------------------------------------------------------- */

PGresult *
PQexec(PGconn *conn, const char *sql)
{
	return carry_out(conn, next_answer(sql));
}

PGresult *
PQexecParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values, const int *lengths,
	const int *formats, int result_format)
{
	(void)n;
	(void)types;
	(void)values;
	(void)lengths;
	(void)formats;
	(void)result_format;
	return PQexec(conn, sql);
}

static void
enqueue(PGconn *conn, const struct fake_answer *answer)
{
	if (conn->tail == QUEUE)
		abort();
	conn->pending[conn->tail++] = answer;
}

int
PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values,
	const int *lengths, const int *formats, int result_format)
{
	(void)n;
	(void)types;
	(void)values;
	(void)lengths;
	(void)formats;
	(void)result_format;
	if (breaks("PQsendQueryParams"))
		return 0;
	enqueue(conn, next_answer(sql));
	enqueue(conn, NULL);
	return 1;
}

int
PQsetSingleRowMode(PGconn *conn)
{
	conn->by_row = !breaks("PQsetSingleRowMode");
	conn->rows_left = conn->by_row && conn->pending[conn->head] != NULL ? conn->pending[conn->head]->n : 0;
	return conn->by_row;
}

PGresult *
PQgetResult(PGconn *conn)
{
	const struct fake_answer *answer;

	if (conn->status == CONNECTION_BAD || conn->head == conn->tail) {
		conn->head = conn->tail = 0;
		return NULL;
	}
	answer = conn->pending[conn->head];
	if (conn->rows_left > 0 && answer->kind != FAKE_COMMAND) {
		conn->rows_left--;
		return make_rows(answer, 1, PGRES_SINGLE_TUPLE);
	}
	conn->head++;
	if (answer == NULL || answer->kind == FAKE_SILENT)
		return NULL;
	if (conn->by_row && answer->kind == FAKE_ROWS) {
		conn->by_row = false;
		return make_rows(answer, 0, PGRES_TUPLES_OK);
	}
	if (conn->pipeline == PQ_PIPELINE_ABORTED && answer != &sync_point)
		return carry_out(conn, &aborted);
	if (conn->pipeline == PQ_PIPELINE_ON && answer->kind == FAKE_ERROR)
		conn->pipeline = PQ_PIPELINE_ABORTED;
	if (answer == &sync_point)
		conn->pipeline = PQ_PIPELINE_ON;
	return carry_out(conn, answer);
}

int
PQenterPipelineMode(PGconn *conn)
{
	conn->pipeline = PQ_PIPELINE_ON;
	return !breaks("PQenterPipelineMode");
}

int
PQexitPipelineMode(PGconn *conn)
{
	conn->pipeline = PQ_PIPELINE_OFF;
	conn->head = conn->tail = 0;
	return !breaks("PQexitPipelineMode");
}

int
PQpipelineSync(PGconn *conn)
{
	if (breaks("PQpipelineSync"))
		return 0;
	enqueue(conn, &sync_point);
	return 1;
}

int
PQsendFlushRequest(PGconn *conn)
{
	(void)conn;
	return !breaks("PQsendFlushRequest");
}

int
PQflush(PGconn *conn)
{
	(void)conn;
	return breaks("PQflush") ? -1 : 0;
}

int
PQconsumeInput(PGconn *conn)
{
	(void)conn;
	return 1;
}

int
PQsetnonblocking(PGconn *conn, int on)
{
	(void)conn;
	(void)on;
	return breaks("PQsetnonblocking") ? -1 : 0;
}

/* ---- COPY ---------------------------------------------------------------------------------- */

int
PQputCopyData(PGconn *conn, const char *bytes, int n)
{
	(void)conn;
	(void)bytes;
	(void)n;
	return breaks("PQputCopyData") ? -1 : 1;
}

int
PQputCopyEnd(PGconn *conn, const char *error)
{
	(void)error;
	if (breaks("PQputCopyEnd"))
		return -1;
	conn->copying = false;
	enqueue(conn, next_answer("(end of COPY)"));
	enqueue(conn, NULL);
	return 1;
}

int
PQgetCopyData(PGconn *conn, char **row, int async)
{
	(void)async;
	if (breaks("PQgetCopyData") || conn->copied == NULL)
		return -2;
	if (conn->rows_left > 0) {
		conn->rows_left--;
		*row = strdup(conn->copied->text);
		return *row == NULL ? -2 : (int)strlen(*row);
	}
	conn->copied = NULL;
	enqueue(conn, next_answer("(end of COPY)"));
	enqueue(conn, NULL);
	return -1;
}
