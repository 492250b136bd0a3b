#include "sys/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/clock.h"

#define GRACE_MS 5000
#define TALK_SIZE 65536 /* bytes at a time */
#define MAX_LINKS 40 /* the kernel's own bound */

#define CREDENTIALS "CREDENTIALS_DIRECTORY"

static char *const clean_environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8", "TZ=UTC", NULL };

/* A program that runs, and our ends of its three standard files; -1: there is none, or it was closed. */
struct running {
	const struct command_talk *talk;
	pid_t pid;
	int pidfd;
	int in, out, err;
	char *buffer;
	size_t at, n; /* of what was given, the part that is not written yet */
	bool given;   /* all of it */
	bool deaf;    /* it has closed its input, or ended, before it had read everything */
	size_t n_said;
};

enum how { HOW_ENDED, HOW_LATE, HOW_BROKEN };

/* ---- start --------------------------------------------------------------------------------------- */

/* ends: the program's of its standard files; -1: none. */
static int
set_actions(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, const int ends[3])
{
	sigset_t all, none;
	int failed = 0;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	for (int fd = 0; fd <= 2 && failed == 0; fd++)
		failed = ends[fd] >= 0 ? posix_spawn_file_actions_adddup2(actions, ends[fd], fd)
				       : posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	if (failed == 0)
		failed = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	if (failed == 0)
		failed = posix_spawn_file_actions_addchdir_np(actions, "/");
	if (failed == 0)
		failed = posix_spawnattr_setsigdefault(attributes, &all);
	if (failed == 0)
		failed = posix_spawnattr_setsigmask(attributes, &none);
	if (failed == 0)
		failed = posix_spawnattr_setpgroup(attributes, 0);
	return failed != 0 ? failed
	     : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int
start(const char *const *argv, const int ends[3], bool ours, pid_t *ret, struct err *err)
{
	const char *directory = ours ? getenv(CREDENTIALS) : NULL;
	CLEANUP(free_text) char *credentials = directory == NULL ? NULL : mem_printf(CREDENTIALS "=%s", directory);
	char *const environment[] = { clean_environment[0], clean_environment[1], clean_environment[2], credentials, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int failed;

	if ((errno = posix_spawn_file_actions_init(&actions)) != 0)
		return err_sys(err, "starting %s", argv[0]);
	if ((errno = posix_spawnattr_init(&attributes)) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return err_sys(err, "starting %s", argv[0]);
	}
	failed = set_actions(&actions, &attributes, ends);
	if (failed == 0)
		failed = posix_spawn(ret, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = failed;
	return failed == 0 ? 0 : err_sys(err, "starting %s", argv[0]);
}

static void
close_end(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* One pipe; ours does not wait. */
static int
make_pipe(int *ours, int *its, bool it_reads)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	*ours = ends[it_reads ? 1 : 0];
	*its = ends[it_reads ? 0 : 1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int
start_with_pipes(const char *const *argv, struct running *r, struct err *err)
{
	const struct command_talk *talk = r->talk;
	int ends[3] = { -1, -1, -1 }, failed;

	if ((talk->give != NULL && make_pipe(&r->in, &ends[0], true) != 0) ||
	    (talk->take != NULL && make_pipe(&r->out, &ends[1], false) != 0) ||
	    (talk->said != NULL && make_pipe(&r->err, &ends[2], false) != 0))
		failed = err_sys(err, "starting %s", argv[0]);
	else
		failed = start(argv, ends, r->talk->ours, &r->pid, err);
	for (int i = 0; i < 3; i++)
		close_end(&ends[i]);
	return failed;
}

/* ---- what it says, gives and takes --------------------------------------------------------------- */

/* Takes what is there, without waiting for more; what is beyond the room for it is let go. */
static void
hear(struct running *r)
{
	char bytes[512];
	ssize_t n;

	while (r->err >= 0 && (n = read(r->err, bytes, sizeof(bytes))) != 0) {
		size_t room = r->talk->n_said - 1 - r->n_said, kept = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		(void)memcpy(r->talk->said + r->n_said, bytes, kept);
		r->n_said += kept;
	}
	close_end(&r->err);
}

/* The same of its output, once or until there is no more. */
static int
take(struct running *r, bool all, struct err *err)
{
	do {
		ssize_t n = read(r->out, r->buffer, TALK_SIZE);

		if (n > 0 && r->talk->take(r->talk->ctx, r->buffer, (size_t)n, err) != 0)
			return -1;
		if (n < 0 && errno != EINTR)
			return 0;
		if (n == 0)
			close_end(&r->out);
	} while (all && r->out >= 0);
	return 0;
}

/* As much as there is room for. */
static int
give(struct running *r, struct err *err)
{
	while (!r->given) {
		ssize_t n;

		if (r->at == r->n) {
			r->at = r->n = 0;
			if (r->talk->give(r->talk->ctx, r->buffer, TALK_SIZE, &r->n, err) != 0)
				return -1;
			r->given = r->n == 0;
			continue;
		}
		n = write(r->in, r->buffer + r->at, r->n - r->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* EPIPE: nobody reads any more; whether that is a failure, its end says */
			if (errno != EAGAIN) {
				r->deaf = true;
				close_end(&r->in);
			}
			return 0;
		}
		r->at += (size_t)n;
	}
	return 0;
}

static bool
has_unread(const struct running *r)
{
	int n = 0;

	return !r->given || (ioctl(r->in, FIONREAD, &n) == 0 && n > 0);
}

/* The end of its input is shown to a program when it has read all before it: one that ends earlier has not read it all. */
static void
end_input(struct running *r)
{
	if (r->in >= 0 && !has_unread(r))
		close_end(&r->in);
}

/* ---- until its end ------------------------------------------------------------------------------- */

static int
exchange(struct running *r, const struct pollfd watched[4], struct err *err)
{
	if (watched[3].revents != 0)
		hear(r);
	if (watched[2].revents != 0 && take(r, watched[0].revents != 0, err) != 0)
		return -1;
	if (watched[0].revents != 0) {
		r->deaf = r->deaf || (r->in >= 0 && has_unread(r));
		return 0;
	}
	if ((watched[1].revents & (POLLERR | POLLHUP)) != 0) {
		r->deaf = has_unread(r);
		close_end(&r->in);
	} else if (watched[1].revents != 0 && give(r, err) != 0) {
		return -1;
	}
	end_input(r);
	return 0;
}

/* How long to wait at most: nobody tells that a pipe is empty, or that we are to stop. */
static int
patience(const struct running *r, int64_t left)
{
	int64_t most = r->in >= 0 && r->given ? 10 : r->talk->stop != NULL ? 500 : INT_MAX;

	return (int)(left < 0 ? 0 : left < most ? left : most);
}

static enum how
talk_until(struct running *r, int64_t ms, struct err *err)
{
	int64_t until = clock_ms() + ms;

	for (;;) {
		int64_t left = until - clock_ms();
		struct pollfd watched[] = { { .fd = r->pidfd, .events = POLLIN }, { .fd = r->in, .events = (short)(r->given ? 0 : POLLOUT) },
			{ .fd = r->out, .events = POLLIN }, { .fd = r->err, .events = POLLIN } };
		int n = poll(watched, 4, patience(r, left));

		if (n > 0 && exchange(r, watched, err) != 0)
			return HOW_BROKEN;
		if (n > 0 && watched[0].revents != 0)
			return HOW_ENDED;
		if (n == 0)
			end_input(r);
		if (r->talk->stop != NULL && r->talk->stop()) {
			(void)err_set(err, ERR_FAILED, "stopped");
			return HOW_BROKEN;
		}
		if (left <= 0)
			return HOW_LATE;
	}
}

/* Its input stays open meanwhile: it must not take what it has got so far for everything. */
static void
end_group(struct running *r)
{
	struct pollfd watched = { .fd = r->pidfd, .events = POLLIN };
	int64_t until = clock_ms() + GRACE_MS;

	(void)kill(-r->pid, SIGTERM);
	for (int64_t left = GRACE_MS; r->pidfd >= 0 && left > 0 && poll(&watched, 1, (int)left) <= 0;)
		left = until - clock_ms();
	/* with what it left running in its group, which would hold our time-out up for ever; before it is waited
	 * for, because then the group's number may be somebody else's */
	(void)kill(-r->pid, SIGKILL);
}

static int
wait_for(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

static int
run(const char *const *argv, int64_t timeout_seconds, struct running *r, int *ret_exit_code, struct err *err)
{
	enum how how = HOW_LATE;
	int status = 0;

	if (start_with_pipes(argv, r, err) != 0)
		return -1;
	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd >= 0)
		how = talk_until(r, timeout_seconds * 1000, err);
	if (how != HOW_ENDED)
		end_group(r);
	if (wait_for(r->pid, &status) != 0)
		return err_sys(err, "waiting for %s", argv[0]);
	/* what it has left running may go on writing */
	hear(r);
	if (how == HOW_BROKEN)
		return -1;
	if (how == HOW_LATE)
		return err_set(err, ERR_FAILED, "%s did not end within %lld seconds", argv[0], (long long)timeout_seconds);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FAILED, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	*ret_exit_code = WEXITSTATUS(status);
	if (*ret_exit_code == 0 && r->deaf)
		return err_set(err, ERR_FAILED, "%s ended before it had read everything", argv[0]);
	return 0;
}

int
command_talk(const char *const *argv, int64_t timeout_seconds, const struct command_talk *talk, int *ret_exit_code, struct err *err)
{
	struct running r = { .talk = talk, .pidfd = -1, .in = -1, .out = -1, .err = -1, .given = talk->give == NULL };
	int failed;

	if (talk->give != NULL || talk->take != NULL)
		r.buffer = mem_zero(TALK_SIZE, 1);
	failed = run(argv, timeout_seconds, &r, ret_exit_code, err);
	close_end(&r.in);
	close_end(&r.out);
	close_end(&r.err);
	close_end(&r.pidfd);
	free(r.buffer);
	if (talk->said != NULL)
		talk->said[r.n_said] = '\0';
	return failed;
}

int
command_run(const char *const *argv, int64_t timeout_seconds, int *ret_exit_code, struct err *err)
{
	return command_talk(argv, timeout_seconds, &(struct command_talk){ 0 }, ret_exit_code, err);
}

int
command_hear(const char *const *argv, int64_t timeout_seconds, char *said, size_t n_said, int *ret_exit_code, struct err *err)
{
	return command_talk(argv, timeout_seconds, &(struct command_talk){ .said = said, .n_said = n_said, .ours = true }, ret_exit_code, err);
}

char *
command_argument(const char *argument, const struct command_word *words, size_t n)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	while (*argument != '\0') {
		size_t plain = strcspn(argument, "{}"), k = 0;

		str_add_n(&text, argument, plain);
		argument += plain;
		if (*argument == '\0')
			break;
		while (k < n && strncmp(argument, words[k].word, strlen(words[k].word)) != 0)
			k++;
		if (k == n)
			return NULL;
		str_add(&text, words[k].value);
		argument += strlen(words[k].word);
	}
	return str_take(&text);
}

/* ---- what may be run ----------------------------------------------------------------------------- */

/* Nobody but root and us decides what runs under this path. */
static int
check_owner(const char *program, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_sys(err, "looking at %s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)err_set(err, ERR_FAILED, "%s belongs to another user (uid %u)", path, (unsigned)st.st_uid);
		return err_hint(err, "a program that is told whom to erase, or given archives, belongs to root, and so do the directories above it");
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return 0;
	(void)err_set(err, ERR_FAILED, "others may write to %s (mode %04o), and so replace %s", path, (unsigned)(st.st_mode & 07777),
		program);
	return err_hint(err, "chmod go-w %s", path);
}

/* Where a link leads, as a path of its own with what follows the link; NULL: it cannot be read, or is another user's. */
static char *
follow(const char *program, const char *link, const char *rest, struct err *err)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n = readlink(link, target, sizeof(target));

	if (n < 0 || (size_t)n == sizeof(target) || lstat(link, &st) != 0) {
		(void)err_sys(err, "looking at %s", link);
		return NULL;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)err_set(err, ERR_FAILED, "the link %s belongs to another user (uid %u), who may replace %s", link,
			(unsigned)st.st_uid, program);
		return NULL;
	}
	if (target[0] == '/')
		return mem_printf("%.*s%s", (int)n, target, rest);
	return mem_printf("%.*s%.*s%s", (int)(strrchr(link, '/') - link + 1), link, (int)n, target, rest);
}

/* Looks at everything that a path goes through, up to its first link; *ret_next: where that leads. */
static int
check_as_far(const char *program, const char *path, char **ret_next, struct err *err)
{
	if (check_owner(program, "/", err) != 0)
		return -1;
	for (size_t n = 0; path[n] != '\0';) {
		CLEANUP(free_text) char *here = NULL;
		struct stat st;

		n += strcspn(path + n + 1, "/") + 1;
		here = mem_copy_n(path, n);
		if (lstat(here, &st) != 0)
			return err_sys(err, "looking at %s", here);
		if (S_ISLNK(st.st_mode)) {
			*ret_next = follow(program, here, path + n, err);
			return *ret_next == NULL ? -1 : 0;
		}
		if (check_owner(program, here, err) != 0)
			return -1;
	}
	return 0;
}

/* Whoever may write to a directory on the way may put something else there, a link of ours in it or not. */
static int
check_way(const char *program, struct err *err)
{
	CLEANUP(free_text) char *path = mem_copy(program);

	for (int links = 0; links <= MAX_LINKS; links++) {
		CLEANUP(free_text) char *next = NULL;

		if (check_as_far(program, path, &next, err) != 0)
			return -1;
		if (next == NULL)
			return 0;
		free(path);
		path = TAKE_PTR(next);
	}
	errno = ELOOP;
	return err_sys(err, "looking at %s", program);
}

int
command_check(const char *path, struct err *err)
{
	CLEANUP(free_text) char *real = realpath(path, NULL);
	struct stat st;

	if (real == NULL || stat(real, &st) != 0)
		return err_sys(err, "looking for %s", path);
	if (!S_ISREG(st.st_mode) || access(real, X_OK) != 0) {
		(void)err_set(err, ERR_FAILED, "%s is not a program that this user (uid %u) may run", path, (unsigned)geteuid());
		return err_hint(err, "chmod 755 %s", path);
	}
	return check_way(path, err);
}

int
command_check_library(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_sys(err, "looking for %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a regular file", path);
	return check_way(path, err);
}
