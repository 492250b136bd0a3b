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
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/clock.h"

#define GRACE_MS 5000
#define MAX_LINKS 40 /* the kernel's own bound */

static char *const clean_environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8", "TZ=UTC", NULL };

/* What a program says on standard error, as far as it is kept. */
struct hearing {
	int fd; /* to read from; -1: nobody listens, or it has been closed */
	char *text;
	size_t n, max;
};

static int
set_actions(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int err_fd)
{
	sigset_t all, none;
	int failed = 0;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	for (int fd = 0; fd <= 2 && failed == 0; fd++)
		failed = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	if (failed == 0 && err_fd >= 0)
		failed = posix_spawn_file_actions_adddup2(actions, err_fd, 2);
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
start(const char *const *argv, int err_fd, pid_t *ret, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int failed;

	if ((errno = posix_spawn_file_actions_init(&actions)) != 0)
		return err_sys(err, "starting %s", argv[0]);
	if ((errno = posix_spawnattr_init(&attributes)) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return err_sys(err, "starting %s", argv[0]);
	}
	failed = set_actions(&actions, &attributes, err_fd);
	if (failed == 0)
		failed = posix_spawn(ret, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, clean_environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = failed;
	return failed == 0 ? 0 : err_sys(err, "starting %s", argv[0]);
}

/* Takes what is there, without waiting for more; what is beyond the room for it is let go. */
static void
listen_to(struct hearing *hearing)
{
	char bytes[512];
	ssize_t n;

	while (hearing->fd >= 0 && (n = read(hearing->fd, bytes, sizeof(bytes))) != 0) {
		size_t kept = n < 0 ? 0 : (size_t)n < hearing->max - hearing->n ? (size_t)n : hearing->max - hearing->n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		(void)memcpy(hearing->text + hearing->n, bytes, kept);
		hearing->n += kept;
	}
	if (hearing->fd >= 0)
		(void)close(hearing->fd);
	hearing->fd = -1;
}

/* Whether the process ended in time. */
static bool
ends_within(int pidfd, int64_t ms, struct hearing *hearing)
{
	int64_t until = clock_ms() + ms;

	for (;;) {
		int64_t left = until - clock_ms();
		struct pollfd watched[] = { { .fd = pidfd, .events = POLLIN }, { .fd = hearing->fd, .events = POLLIN } };
		int n = poll(watched, 2, left > 0 ? (int)left : 0);

		if (n > 0 && watched[1].revents != 0)
			listen_to(hearing);
		if (n > 0 && watched[0].revents != 0)
			return true;
		if (left <= 0)
			return false;
	}
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
run(const char *const *argv, int64_t timeout_seconds, int err_fd, struct hearing *hearing, int *ret_exit_code, struct err *err)
{
	int pidfd;
	bool in_time = false;
	int status = 0;
	pid_t pid;

	if (start(argv, err_fd, &pid, err) != 0)
		return -1;
	pidfd = pidfd_open(pid, 0);
	if (pidfd >= 0)
		in_time = ends_within(pidfd, timeout_seconds * 1000, hearing);
	if (!in_time) {
		(void)kill(-pid, SIGTERM);
		if (pidfd >= 0)
			(void)ends_within(pidfd, GRACE_MS, hearing);
		/* with what it left running in its group, which would hold our time-out up for ever; before it is waited
		 * for, because then the group's number may be somebody else's */
		(void)kill(-pid, SIGKILL);
	}
	if (pidfd >= 0)
		(void)close(pidfd);
	if (wait_for(pid, &status) != 0)
		return err_sys(err, "waiting for %s", argv[0]);
	if (!in_time)
		return err_set(err, ERR_FAILED, "%s did not end within %lld seconds", argv[0], (long long)timeout_seconds);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FAILED, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	*ret_exit_code = WEXITSTATUS(status);
	return 0;
}

int
command_run(const char *const *argv, int64_t timeout_seconds, int *ret_exit_code, struct err *err)
{
	struct hearing nobody = { .fd = -1 };

	return run(argv, timeout_seconds, -1, &nobody, ret_exit_code, err);
}

int
command_hear(const char *const *argv, int64_t timeout_seconds, char *said, size_t n_said, int *ret_exit_code, struct err *err)
{
	struct hearing hearing = { .text = said, .max = n_said - 1 };
	int ends[2], failed;

	said[0] = '\0';
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(err, "starting %s", argv[0]);
	hearing.fd = ends[0];
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	failed = run(argv, timeout_seconds, ends[1], &hearing, ret_exit_code, err);
	/* what it has left running may go on writing */
	listen_to(&hearing);
	if (hearing.fd >= 0)
		(void)close(hearing.fd);
	(void)close(ends[1]);
	said[hearing.n] = '\0';
	return failed;
}

/* Nobody but root and us decides what runs under this path. */
static int
check_owner(const char *program, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_sys(err, "looking at %s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)err_set(err, ERR_FAILED, "%s belongs to another user (uid %u)", path, (unsigned)st.st_uid);
		return err_hint(err, "a program that is told whom to erase belongs to root, and so do the directories above it");
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
