/*
 * gate: lets another program say when each statement of this one goes to the server.
 *
 * Loaded by LD_PRELOAD into expunge. Before each statement (and instead of each short sleep) it sends a
 * struct gate_report down the socket RACE_GATE and waits for one byte: how many of the next go unasked. A pipeline becomes one statement
 * after the other: each is flushed and its answer waited for, so that something can happen in between.
 * When the other end of the socket is closed, everything runs freely.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"

/* Longer than that no statement of a pipeline is waited for: after an error there is no answer. */
#define PATIENCE_MS 300

static int gate = -1;
static bool silent; /* the pipeline has failed: no statement is answered any more */
static bool nested; /* libpq calls itself */
static unsigned char unasked; /* so many statements go without asking */

/* The function that the program would have got without us. */
#define REAL(NAME) \
	static __typeof__(NAME) *real; \
	if (real == NULL) \
	real = (__typeof__(real))dlsym(RTLD_NEXT, #NAME)

__attribute__((constructor)) static void
start(void)
{
	const char *fd = getenv("RACE_GATE");

	if (fd == NULL)
		return;
	gate = (int)strtol(fd, NULL, 10);
	(void)fcntl(gate, F_SETFD, FD_CLOEXEC);
	(void)unsetenv("LD_PRELOAD");
}

static void
pass(int backend, const char *text)
{
	struct gate_report report = { .backend = backend };

	if (gate < 0)
		return;
	if (unasked > 0) {
		unasked--;
		return;
	}
	(void)snprintf(report.text, sizeof(report.text), "%s", text);
	if (send(gate, &report, sizeof(report), MSG_NOSIGNAL) != (ssize_t)sizeof(report) || recv(gate, &unasked, 1, 0) != 1) {
		(void)close(gate);
		gate = -1;
	}
}

/* Reads what has arrived, so that the socket is silent until the next answer. */
static void
drain(PGconn *conn)
{
	struct pollfd ready = { .fd = PQsocket(conn), .events = POLLIN };

	while (poll(&ready, 1, 0) > 0 && PQconsumeInput(conn) == 1 && PQstatus(conn) == CONNECTION_OK)
		;
}

PGresult *
PQexec(PGconn *conn, const char *sql)
{
	PGresult *res;
	REAL(PQexec);

	silent = false;
	if (!nested)
		pass(PQbackendPID(conn), sql);
	nested = true;
	res = real(conn, sql);
	nested = false;
	return res;
}

PGresult *
PQexecParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values, const int *lengths,
	const int *formats, int result_format)
{
	PGresult *res;
	REAL(PQexecParams);

	silent = false;
	if (!nested)
		pass(PQbackendPID(conn), sql);
	nested = true;
	res = real(conn, sql, n, types, values, lengths, formats, result_format);
	nested = false;
	return res;
}

int
PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values,
	const int *lengths, const int *formats, int result_format)
{
	struct pollfd ready = { .fd = PQsocket(conn), .events = POLLIN };
	bool piped = !nested && gate >= 0 && PQpipelineStatus(conn) == PQ_PIPELINE_ON;
	int done;
	REAL(PQsendQueryParams);

	if (!nested)
		pass(PQbackendPID(conn), sql);
	if (piped)
		drain(conn);
	done = real(conn, sql, n, types, values, lengths, formats, result_format);
	if (piped && !silent && done == 1 && PQsendFlushRequest(conn) == 1 && PQflush(conn) == 0)
		silent = poll(&ready, 1, PATIENCE_MS) == 0;
	return done;
}

/* A pause is over when somebody else has done something. */
int
usleep(useconds_t us)
{
	REAL(usleep);

	if (gate < 0)
		return real(us);
	pass(0, "sleep");
	return 0;
}
