/*
 * interpose: numbers what a program does to the outside world, and strikes at one such operation.
 *
 * Loaded by LD_PRELOAD into the program that CRASH_PROGRAM names (into others it does nothing). An
 * operation is a statement handed to libpq, a call on a file below the directory CRASH_ROOT, or
 * a program started; all share one sequence, kept in the file CRASH_COUNTER, so that it goes on over several commands.
 * CRASH_TRACE gets one line each: "<number> sql|read|change <call> <statement or path>".
 *
 * At operation CRASH_AT, CRASH_WHEN (before: not yet begun; sent: the statement is on its way, no answer
 * read; after: done, its result not yet seen by the program), this happens (CRASH_DO):
 *     kill      SIGKILL
 *     hook      the shell command CRASH_HOOK runs; the program waits for its end, and goes on
 *     drop      the connection is shut down; a connection about to be made is refused
 *     stall     the kernel throws away whatever still arrives on the connection (TCP only): a dead network
 *     enospc eio eintr      the call fails so; with "after" although it has been done
 *     short     half of what was to be written or read is
 * Nothing happens twice: the counter file remembers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { NOTHING, KILL, HOOK, DROP, STALL, FAULT, SHORT };
enum when { BEFORE, SENT, AFTER };

struct shared {
	_Atomic long n;    /* operations until now */
	_Atomic int struck;
};

static struct shared *shared; /* NULL: this program is left alone */
static const char *root, *hook;
static size_t root_length;
static int trace = -1;
static long at;
static enum what what;
static enum when when;
static int fault;
static _Thread_local bool here;   /* the operation under way is the one */
static _Thread_local bool armed;  /* strike when the program waits for the server */
static _Thread_local bool nested; /* libpq calls itself */
static _Thread_local bool connecting;

/* The function that the program would have got without us. */
#define REAL(NAME) \
	static __typeof__(NAME) *real; \
	if (real == NULL) \
	real = (__typeof__(real))dlsym(RTLD_NEXT, #NAME)

static const char *
setting(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? "" : value;
}

static void
choose(const char *name, const char *moment)
{
	static const struct { const char *name; enum what what; int fault; } all[] = {
		{ "kill", KILL, 0 }, { "hook", HOOK, 0 }, { "drop", DROP, 0 }, { "stall", STALL, 0 }, { "short", SHORT, 0 },
		{ "enospc", FAULT, ENOSPC }, { "eio", FAULT, EIO }, { "eintr", FAULT, EINTR },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(name, all[i].name) == 0) {
			what = all[i].what;
			fault = all[i].fault;
		}
	when = strcmp(moment, "sent") == 0 ? SENT : strcmp(moment, "after") == 0 ? AFTER : BEFORE;
}

__attribute__((constructor)) static void
start(void)
{
	void *map;
	int fd;

	if (strcmp(program_invocation_short_name, setting("CRASH_PROGRAM")) != 0)
		return;
	root = setting("CRASH_ROOT");
	root_length = strlen(root);
	hook = setting("CRASH_HOOK");
	at = strtol(setting("CRASH_AT"), NULL, 10);
	choose(setting("CRASH_DO"), setting("CRASH_WHEN"));
	fd = open(setting("CRASH_COUNTER"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	trace = open(setting("CRASH_TRACE"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || trace < 0 || root_length == 0 || ftruncate(fd, sizeof(*shared)) != 0)
		_exit(97);
	map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		_exit(97);
	(void)close(fd);
	shared = map;
}

/* ---- striking ------------------------------------------------------------------------------ */

static void
run_hook(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		(void)unsetenv("LD_PRELOAD");
		(void)execl("/bin/sh", "sh", "-c", hook, (char *)NULL);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
}

/* Nothing that arrives on this socket from now on is seen, not even an acknowledgement. */
static void
stall(int fd)
{
	struct sock_filter none[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { 1, none };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
		_exit(97);
}

/* Returns true when the call is to fail by itself, with errno. A connection that is yet to be made (no fd)
 * is struck later, by connect(). */
static bool
strike(int fd)
{
	if (((what == DROP || what == STALL) && fd < 0) || atomic_exchange(&shared->struck, 1) != 0)
		return false;
	switch (what) {
	case KILL:
		(void)kill(getpid(), SIGKILL);
		break;
	case HOOK:
		run_hook();
		break;
	case DROP:
		(void)shutdown(fd, SHUT_RDWR);
		return true;
	case STALL:
		stall(fd);
		break;
	case FAULT:
		errno = fault;
		return true;
	case SHORT:
	case NOTHING:
		break;
	}
	return false;
}

/* Counts one operation. True: it is not to be done, and fails with errno. */
static bool
begin(const char *kind, const char *call, const char *detail, int fd)
{
	long n = atomic_fetch_add(&shared->n, 1) + 1;
	char line[256];
	size_t length = (size_t)snprintf(line, sizeof(line) - 1, "%ld %s %s ", n, kind, call);

	for (; *detail != '\0' && length < 140; detail++) {
		char c = (unsigned char)*detail <= ' ' ? ' ' : *detail;

		if (c != ' ' || line[length - 1] != ' ')
			line[length++] = c;
	}
	line[length++] = '\n';
	if (write(trace, line, length) != (ssize_t)length)
		_exit(97);
	here = n == at;
	if (here && when == SENT)
		armed = true;
	return here && when == BEFORE && what != SHORT && strike(fd);
}

/* The operation is done. True: it is to look as if it had failed. */
static bool
end(int fd)
{
	int saved = errno;
	bool failed = here && when == AFTER && strike(fd);

	here = false;
	if (!failed)
		errno = saved;
	return failed;
}

/* ---- files --------------------------------------------------------------------------------- */

static bool
below(const char *path)
{
	return shared != NULL && strncmp(path, root, root_length) == 0;
}

/* The path of an open file below the root, or NULL. */
static const char *
path_of(int fd, char path[1024])
{
	char link[40];
	ssize_t n;

	if (shared == NULL)
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, 1023);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	return below(path) ? path + root_length : NULL;
}

static bool
in_root(int directory, const char *path)
{
	char unused[1024];

	return path[0] == '/' ? below(path) : path_of(directory, unused) != NULL;
}

/* One call on files: counted, perhaps struck, and done by the real function. */
#define FILE_CALL(KIND, NAME, DETAIL, COUNTED, CALL) do { \
		long done; \
		REAL(NAME); \
		if (!(COUNTED)) \
			return real CALL; \
		if (begin(KIND, #NAME, DETAIL, -1)) \
			return -1; \
		done = (long)real CALL; \
		return end(-1) ? -1 : (__typeof__(real CALL))done; \
	} while (0)
#define ON_PATH(KIND, NAME, PATH, CALL) FILE_CALL(KIND, NAME, below(PATH) ? (PATH) + root_length : "", below(PATH), CALL)
#define ON_FD(KIND, NAME, FD, CALL) \
	char path[1024]; \
	const char *detail = path_of(FD, path); \
	FILE_CALL(KIND, NAME, detail, detail != NULL, CALL)

static bool
makes(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

static const char *
opening(int flags)
{
	return makes(flags) ? "change" : "read";
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	ON_PATH(opening(flags), open, path, (path, flags, mode));
}

int
openat(int directory, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = makes(flags) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	FILE_CALL(opening(flags), openat, path, in_root(directory, path), (directory, path, flags, mode));
}

int
mkostemp(char *path, int flags)
{
	ON_PATH("change", mkostemp, path, (path, flags));
}

int
mkdir(const char *path, mode_t mode)
{
	ON_PATH("change", mkdir, path, (path, mode));
}

int
chmod(const char *path, mode_t mode)
{
	ON_PATH("change", chmod, path, (path, mode));
}

int
rename(const char *from, const char *to)
{
	ON_PATH("change", rename, to, (from, to));
}

int
renameat2(int from_directory, const char *from, int directory, const char *to, unsigned flags)
{
	FILE_CALL("change", renameat2, to, in_root(directory, to), (from_directory, from, directory, to, flags));
}

int
link(const char *from, const char *to)
{
	ON_PATH("change", link, to, (from, to));
}

int
linkat(int from_directory, const char *from, int directory, const char *to, int flags)
{
	FILE_CALL("change", linkat, to, in_root(directory, to), (from_directory, from, directory, to, flags));
}

int
unlink(const char *path)
{
	ON_PATH("change", unlink, path, (path));
}

int
unlinkat(int directory, const char *path, int flags)
{
	FILE_CALL("change", unlinkat, path, in_root(directory, path), (directory, path, flags));
}

int
fchmod(int fd, mode_t mode)
{
	ON_FD("change", fchmod, fd, (fd, mode));
}

int
ftruncate(int fd, off_t size)
{
	ON_FD("change", ftruncate, fd, (fd, size));
}

int
fsync(int fd)
{
	ON_FD("change", fsync, fd, (fd));
}

int
fdatasync(int fd)
{
	ON_FD("change", fdatasync, fd, (fd));
}

int
syncfs(int fd)
{
	ON_FD("change", syncfs, fd, (fd));
}

/* A descriptor is closed even when the call says that it failed. */
int
close(int fd)
{
	char path[1024];
	const char *detail = path_of(fd, path);
	bool failed;
	int rc;
	REAL(close);

	if (detail == NULL)
		return real(fd);
	failed = begin("change", "close", detail, -1);
	rc = real(fd);
	if (failed)
		errno = fault;
	return end(-1) || failed ? -1 : rc;
}

int
fcntl(int fd, int command, ...)
{
	char path[1024];
	const char *detail = command == F_OFD_SETLK || command == F_OFD_SETLKW ? path_of(fd, path) : NULL;
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	FILE_CALL("read", fcntl, detail, detail != NULL, (fd, command, arg));
}

static size_t
shortened(size_t n)
{
	return here && what == SHORT && n > 1 && atomic_exchange(&shared->struck, 1) == 0 ? n / 2 : n;
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	char path[1024];
	const char *detail = fd == trace ? NULL : path_of(fd, path);

	FILE_CALL("change", write, detail, detail != NULL, (fd, bytes, shortened(n)));
}

ssize_t
read(int fd, void *bytes, size_t n)
{
	ON_FD("read", read, fd, (fd, bytes, shortened(n)));
}

ssize_t
pread(int fd, void *bytes, size_t n, off_t from)
{
	ON_FD("read", pread, fd, (fd, bytes, shortened(n), from));
}

/* Streams write behind our back, so that here the call that empties the buffer is the operation. What
 * fails is a real write. */
static int
flush(FILE *stream, const char *call, int (*real)(FILE *))
{
	char path[1024];
	const char *detail = stream == NULL || fileno(stream) < 3 ? NULL : path_of(fileno(stream), path);
	int own, full, rc;

	if (detail == NULL)
		return real(stream);
	if (!begin("change", call, detail, -1)) {
		rc = real(stream);
		return end(-1) ? EOF : rc;
	}
	own = dup(fileno(stream));
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	(void)dup2(full, fileno(stream));
	(void)fputc(' ', stream); /* an empty buffer is not written */
	rc = real(stream);
	if (strcmp(call, "fflush") == 0)
		(void)dup2(own, fileno(stream));
	(void)syscall(SYS_close, own); /* not an operation of the program's */
	(void)syscall(SYS_close, full);
	here = false;
	errno = fault;
	return rc;
}

int
fflush(FILE *stream)
{
	REAL(fflush);
	return flush(stream, "fflush", real);
}

int
fclose(FILE *stream)
{
	REAL(fclose);
	return flush(stream, "fclose", real);
}

/* A program that is told something; how it ends is its own business. */
int
posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
	char *const *argv, char *const *envp)
{
	int rc;
	REAL(posix_spawn);

	if (shared == NULL)
		return real(pid, path, actions, attributes, argv, envp);
	if (begin("change", "posix_spawn", path, -1))
		return errno;
	rc = real(pid, path, actions, attributes, argv, envp);
	(void)end(-1);
	return rc;
}

/* ---- statements ---------------------------------------------------------------------------- */

/* Where libpq waits for the server: what it had to send is on its way. */
static void
waits(int fd)
{
	if (!armed)
		return;
	armed = false;
	(void)strike(fd);
}

int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	REAL(poll);
	if (n > 0)
		waits(fds[0].fd);
	return real(fds, n, timeout);
}

ssize_t
recv(int fd, void *bytes, size_t n, int flags)
{
	REAL(recv);
	waits(fd);
	return real(fd, bytes, n, flags);
}

int
connect(int fd, const struct sockaddr *address, socklen_t n)
{
	REAL(connect);
	if (connecting && here && when == BEFORE && strike(fd)) {
		errno = ECONNREFUSED;
		return -1;
	}
	return real(fd, address, n);
}

/* One call of libpq that sends or receives. */
#define SQL_CALL(NAME, DETAIL, CONN, CALL) do { \
		REAL(NAME); \
		__typeof__(real CALL) done; \
		if (shared == NULL || nested) \
			return real CALL; \
		nested = true; \
		(void)begin("sql", #NAME, DETAIL, PQsocket(CONN)); \
		done = real CALL; \
		(void)end(PQsocket(CONN)); \
		nested = false; \
		return done; \
	} while (0)

PGresult *
PQexec(PGconn *conn, const char *sql)
{
	SQL_CALL(PQexec, sql, conn, (conn, sql));
}

PGresult *
PQexecParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values, const int *lengths,
	const int *formats, int result_format)
{
	SQL_CALL(PQexecParams, sql, conn, (conn, sql, n, types, values, lengths, formats, result_format));
}

int
PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values,
	const int *lengths, const int *formats, int result_format)
{
	SQL_CALL(PQsendQueryParams, sql, conn, (conn, sql, n, types, values, lengths, formats, result_format));
}

int
PQpipelineSync(PGconn *conn)
{
	SQL_CALL(PQpipelineSync, "", conn, (conn));
}

int
PQputCopyData(PGconn *conn, const char *bytes, int n)
{
	SQL_CALL(PQputCopyData, "", conn, (conn, bytes, n));
}

int
PQputCopyEnd(PGconn *conn, const char *error)
{
	SQL_CALL(PQputCopyEnd, "", conn, (conn, error));
}

PGconn *
PQconnectdbParams(const char *const *keywords, const char *const *values, int expand)
{
	PGconn *conn;
	REAL(PQconnectdbParams);

	if (shared == NULL || nested)
		return real(keywords, values, expand);
	nested = connecting = true;
	(void)begin("sql", "PQconnectdbParams", "", -1);
	conn = real(keywords, values, expand);
	connecting = false;
	(void)end(PQsocket(conn));
	nested = false;
	return conn;
}

void
PQfinish(PGconn *conn)
{
	REAL(PQfinish);

	if (shared == NULL || nested || conn == NULL) {
		real(conn);
		return;
	}
	nested = true;
	(void)begin("sql", "PQfinish", "", PQsocket(conn));
	real(conn);
	(void)end(-1);
	nested = false;
}
