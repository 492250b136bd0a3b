/*
 * fake libpq: connections that answer from a script, for what no server does on demand. Results are libpq's
 * own, and so is what needs no connection.
 *
 * A test hands over its script with fake_script(); each statement takes the next line, whose `sql` must be how the
 * statement begins. What db_open sends by itself (session set-up), and a ROLLBACK, need no line. fake_problems() says what
 * did not go by the script. Built with -DREAL_LIBPQ and without libpq.c, the same tests run against a server: those
 * that it can serve.
 */
#ifndef EXPUNGE_FAKE_LIBPQ_H
#define EXPUNGE_FAKE_LIBPQ_H

#include <stddef.h>

enum fake_kind {
	FAKE_COMMAND,  /* done; text: the command tag */
	FAKE_ROWS,     /* n rows of one column, each text */
	FAKE_ERROR,    /* sqlstate (NULL: libpq's own), text: primary message */
	FAKE_FATAL,    /* the same, and the connection is gone */
	FAKE_LOST,     /* the connection is gone without a word */
	FAKE_SILENT,   /* NULL for a result; the connection seems well */
	FAKE_COPY_IN,  /* n counts what the next line, "(end of COPY)", reports */
	FAKE_COPY_OUT, /* n rows, each text; then the next line, "(end of COPY)" */
	FAKE_EMPTY
};

struct fake_answer {
	const char *sql;
	enum fake_kind kind;
	int n;
	const char *text;
	const char *sqlstate;
};

/* What the next connection is like, and what fails. */
struct fake_server {
	int version;          /* 150000 */
	int backend;          /* what SELECT pg_backend_pid() answers; 77 is what libpq knows */
	int seen_idle_timeout; /* the session set-up spoke of idle_session_timeout */
	int cancels;          /* how often PQcancel was called */
	const char *breaks;   /* this function of libpq fails from now on */
};

extern struct fake_server fake_server;

void fake_script(const struct fake_answer *answers, size_t n);
/* "" or the first thing that was not by the script. */
const char *fake_problems(void);

#endif
