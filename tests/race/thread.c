#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX 16
#define HANG_MS 30000

void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(2);
}

/* xorshift64*: the same everywhere */
long
race_draw(uint64_t *chance, long below)
{
	*chance ^= *chance >> 12;
	*chance ^= *chance << 25;
	*chance ^= *chance >> 27;
	return (long)((*chance * 0x2545F4914F6CDD1DULL >> 33) % (uint64_t)below);
}

void
thread_program(struct thread *thread, char *const *argv, const char *gate_so, const char *log)
{
	int ends[2];

	*thread = (struct thread){ .state = THREAD_MOVING };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		die("socketpair: %s", strerror(errno));
	thread->pid = fork();
	if (thread->pid == 0) {
		int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);
		char fd[16];

		(void)snprintf(fd, sizeof(fd), "%d", dup(ends[1]));
		(void)setenv("RACE_GATE", fd, 1);
		(void)setenv("LD_PRELOAD", gate_so, 1);
		if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2)
			(void)execv(argv[0], argv);
		_exit(127);
	}
	(void)close(ends[1]);
	if (thread->pid < 0)
		die("fork: %s", strerror(errno));
	thread->gate = ends[0];
}

void
thread_actor(struct thread *thread, PGconn *conn)
{
	*thread = (struct thread){ .state = THREAD_READY, .gate = -1, .conn = conn, .backend = PQbackendPID(conn) };
}

void
thread_add(struct thread *thread, long when, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (thread->n_steps == THREAD_STEPS || vasprintf(&thread->steps[thread->n_steps], fmt, ap) < 0)
		die("too many steps");
	va_end(ap);
	thread->when[thread->n_steps++] = when;
}

void
thread_step(struct thread *thread)
{
	thread->state = THREAD_MOVING;
	if (thread->conn == NULL) {
		if (send(thread->gate, &thread->skip, 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
			die("send: %s", strerror(errno));
		thread->passed += 1 + thread->skip;
		thread->skip = 0;
	} else if (PQsendQuery(thread->conn, thread->steps[thread->next]) != 1)
		die("an actor: %s", PQerrorMessage(thread->conn));
}

/* An actor that was refused gives up. */
static void
take_answer(struct thread *thread)
{
	PGresult *res;

	while ((res = PQgetResult(thread->conn)) != NULL) {
		const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);

		if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 && PQnfields(res) > 0)
			(void)snprintf(thread->answer, sizeof(thread->answer), "%s", PQgetvalue(res, 0, 0));
		else if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
			(void)snprintf(thread->sqlstate, sizeof(thread->sqlstate), "%s", code == NULL ? "?" : code);
		PQclear(res);
	}
	thread->next++;
	if (thread->sqlstate[0] != '\0' || thread->next == thread->n_steps) {
		if (PQtransactionStatus(thread->conn) != PQTRANS_IDLE)
			PQclear(PQexec(thread->conn, "ROLLBACK"));
		thread->state = THREAD_ENDED;
	} else
		thread->state = THREAD_READY;
}

/* Something has come from it. */
static void
take(struct thread *thread)
{
	int status;

	if (thread->conn != NULL) {
		if (PQconsumeInput(thread->conn) != 1)
			die("an actor: %s", PQerrorMessage(thread->conn));
		if (!PQisBusy(thread->conn))
			take_answer(thread);
		return;
	}
	if (recv(thread->gate, &thread->at, sizeof(thread->at), 0) == (ssize_t)sizeof(thread->at)) {
		thread->state = THREAD_READY;
		thread->sleeping = thread->at.backend == 0;
		if (!thread->sleeping)
			thread->backend = thread->at.backend;
		return;
	}
	(void)close(thread->gate);
	while (waitpid(thread->pid, &status, 0) < 0 && errno == EINTR)
		;
	thread->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	thread->state = THREAD_ENDED;
}

static bool
waits_for_lock(const struct thread *thread, PGconn *control)
{
	char sql[160];
	PGresult *res;
	bool waits;

	if (thread->backend == 0)
		return false;
	(void)snprintf(sql, sizeof(sql), "SELECT FROM pg_catalog.pg_stat_activity WHERE pid = %d AND wait_event_type IN ('Lock', 'BufferPin')",
		thread->backend);
	res = PQexec(control, sql);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		die("control: %s", PQerrorMessage(control));
	waits = PQntuples(res) > 0;
	PQclear(res);
	return waits;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for whoever moves first; false: nobody did. */
static bool
hear(struct thread *threads, int n, int timeout_ms)
{
	struct pollfd fds[MAX];
	int of[MAX], m = 0;

	for (int i = 0; i < n && m < MAX; i++)
		if (threads[i].state == THREAD_MOVING || threads[i].state == THREAD_BLOCKED) {
			fds[m].fd = threads[i].conn != NULL ? PQsocket(threads[i].conn) : threads[i].gate;
			fds[m].events = POLLIN;
			of[m++] = i;
		}
	if (m == 0 || poll(fds, (nfds_t)m, timeout_ms) <= 0)
		return false;
	for (int i = 0; i < m; i++)
		if (fds[i].revents != 0)
			take(&threads[of[i]]);
	return true;
}

static void
hung(const struct thread *threads, int n, PGconn *control)
{
	for (int i = 0; i < n; i++) {
		PGresult *res;
		char sql[160];

		(void)snprintf(sql, sizeof(sql), "SELECT state, wait_event, query FROM pg_catalog.pg_stat_activity WHERE pid = %d",
			threads[i].backend);
		res = PQexec(control, sql);
		(void)fprintf(stderr, "%d: state %d, before: %s; server: %s, %s, %s\n", i, (int)threads[i].state, threads[i].at.text,
			PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "", PQntuples(res) == 1 ? PQgetvalue(res, 0, 1) : "",
			PQntuples(res) == 1 ? PQgetvalue(res, 0, 2) : "");
		PQclear(res);
	}
	die("nothing moves any more");
}

void
thread_settle(struct thread *threads, int n, PGconn *control)
{
	int64_t until = now_ms() + HANG_MS;
	bool moving = true;

	for (int i = 0; i < n; i++)
		if (threads[i].state == THREAD_BLOCKED && !waits_for_lock(&threads[i], control))
			threads[i].state = THREAD_MOVING;
	while (moving) {
		bool heard = hear(threads, n, 10);

		moving = false;
		for (int i = 0; i < n; i++) {
			if (threads[i].state == THREAD_MOVING && !heard && waits_for_lock(&threads[i], control))
				threads[i].state = THREAD_BLOCKED;
			moving = moving || threads[i].state == THREAD_MOVING;
		}
		if (now_ms() > until)
			hung(threads, n, control);
	}
}

void
thread_release(struct thread *thread)
{
	for (int i = 0; i < thread->n_steps; i++)
		free(thread->steps[i]);
	thread->n_steps = 0;
}
