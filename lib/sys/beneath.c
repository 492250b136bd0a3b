#include "sys/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

#define OUR_OWN ".expunge" /* what a directory is known by again must not be taken for a document */

struct beneath {
	char *directory; /* for messages */
	int fd;
	dev_t device;
	char *parent; /* the directory of the path before, which is often that of the next; NULL: none is open */
	int parent_fd;
	bool changed; /* a name was found gone, or taken away, in parent */
};

static bool
is_dots(const char *name, size_t n)
{
	return name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.'));
}

bool
beneath_is_fit(const char *path)
{
	if (!parse_is_plain_text(path, BENEATH_PATH_MAX) || strncmp(path, OUR_OWN, sizeof(OUR_OWN) - 1) == 0)
		return false;
	for (const char *name = path;; name++) {
		size_t n = strcspn(name, "/");

		if (n == 0 || is_dots(name, n))
			return false;
		name += n;
		if (*name == '\0')
			return true;
	}
}

int
beneath_open(struct beneath **ret, const char *directory, struct err *err)
{
	CLEANUP(beneath_closep) struct beneath *beneath = mem_zero(1, sizeof(*beneath));
	struct stat st;

	beneath->directory = mem_copy(directory);
	beneath->parent_fd = -1;
	beneath->fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (beneath->fd < 0 || fstat(beneath->fd, &st) != 0)
		return err_sys(err, "opening directory %s", directory);
	beneath->device = st.st_dev;
	*ret = TAKE_PTR(beneath);
	return 0;
}

static void
leave_parent(struct beneath *beneath)
{
	if (beneath->parent_fd >= 0)
		(void)close(beneath->parent_fd);
	beneath->parent_fd = -1;
	free(beneath->parent);
	beneath->parent = NULL;
}

void
beneath_close(struct beneath *beneath)
{
	if (beneath == NULL)
		return;
	leave_parent(beneath);
	if (beneath->fd >= 0)
		(void)close(beneath->fd);
	free(beneath->directory);
	free(beneath);
}

void
beneath_closep(struct beneath **beneath)
{
	beneath_close(*beneath);
}

int
beneath_sync(struct beneath *beneath, struct err *err)
{
	if (!beneath->changed)
		return 0;
	if (fsync(beneath->parent_fd) != 0)
		return err_sys(err, "syncing a directory beneath %s", beneath->directory);
	beneath->changed = false;
	return 0;
}

/* What an error of a look-up says of the name. -1: nothing. */
static int
judge_errno(const struct beneath *beneath, enum beneath_verdict *ret, struct err *err)
{
	switch (errno) {
	case ENOENT:
		*ret = BENEATH_MISSING;
		return 0;
	case ELOOP:        /* a symbolic link */
	case ENOTDIR:      /* that, or a file where a directory should be */
	case ENXIO:        /* a socket, or a pipe */
	case ENAMETOOLONG: /* a single name */
		*ret = BENEATH_UNFIT;
		return 0;
	default:
		return err_sys(err, "looking for a file beneath %s", beneath->directory);
	}
}

/* One step down; *fd becomes the next directory, the one before is closed. Links are not followed, and what is mounted here is
 * another store: unmounted, all of its files would look as if they were gone. */
static int
step_down(const struct beneath *beneath, int *fd, const char *name, enum beneath_verdict *ret, struct err *err)
{
	int next = openat(*fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (next < 0)
		return judge_errno(beneath, ret, err);
	if (*fd != beneath->fd)
		(void)close(*fd);
	*fd = next;
	if (fstat(next, &st) != 0)
		return err_sys(err, "looking for a file beneath %s", beneath->directory);
	*ret = st.st_dev == beneath->device ? BENEATH_FILE : BENEATH_UNFIT;
	return 0;
}

/* The directory that path is in, into beneath->parent_fd; *ret is BENEATH_FILE when there is one. */
static int
enter_parent(struct beneath *beneath, const char *path, enum beneath_verdict *ret, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free_text) char *parent = mem_copy_n(path, slash == NULL ? 0 : (size_t)(slash - path));
	int fd = beneath->fd, failed = 0;
	char *rest = NULL;

	*ret = BENEATH_FILE;
	if (beneath->parent != NULL && strcmp(beneath->parent, parent) == 0)
		return 0;
	if (beneath_sync(beneath, err) != 0)
		return -1;
	leave_parent(beneath);
	beneath->parent = mem_copy(parent);
	for (char *name = strtok_r(parent, "/", &rest); name != NULL && *ret == BENEATH_FILE && failed == 0;
		name = strtok_r(NULL, "/", &rest))
		failed = step_down(beneath, &fd, name, ret, err);
	/* the directory itself: a second descriptor, so that each has one owner */
	beneath->parent_fd = fd == beneath->fd ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
	if (failed == 0 && beneath->parent_fd < 0)
		failed = err_sys(err, "opening directory %s", beneath->directory);
	if (failed != 0 || *ret != BENEATH_FILE)
		leave_parent(beneath);
	return failed;
}

static const char *
last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static enum beneath_verdict
judge_file(const struct beneath *beneath, const struct stat *st)
{
	/* of a file with a second name the content would stay */
	return S_ISREG(st->st_mode) && st->st_nlink == 1 && st->st_dev == beneath->device ? BENEATH_FILE : BENEATH_UNFIT;
}

int
beneath_look(struct beneath *beneath, const char *path, enum beneath_verdict *ret, struct err *err)
{
	struct stat st;

	*ret = BENEATH_UNFIT;
	if (!beneath_is_fit(path))
		return 0;
	if (enter_parent(beneath, path, ret, err) != 0)
		return -1;
	if (*ret != BENEATH_FILE)
		return 0;
	if (fstatat(beneath->parent_fd, last_name(path), &st, AT_SYMLINK_NOFOLLOW) != 0)
		return judge_errno(beneath, ret, err);
	*ret = judge_file(beneath, &st);
	return 0;
}

int
beneath_unlink(struct beneath *beneath, const char *path, enum beneath_verdict *ret, struct err *err)
{
	if (beneath_look(beneath, path, ret, err) != 0)
		return -1;
	if (*ret == BENEATH_FILE && unlinkat(beneath->parent_fd, last_name(path), 0) != 0 && judge_errno(beneath, ret, err) != 0)
		return -1;
	/* one that is missing may have been taken away by a run that was killed before it could sync */
	beneath->changed = beneath->changed || (*ret != BENEATH_UNFIT && beneath->parent_fd >= 0);
	return 0;
}

int
beneath_read(struct beneath *beneath, const char *path, int *ret_fd, enum beneath_verdict *ret, struct err *err)
{
	struct stat st;
	int fd;

	*ret_fd = -1;
	if (beneath_look(beneath, path, ret, err) != 0)
		return -1;
	if (*ret != BENEATH_FILE)
		return 0;
	/* it may have become something else since: a pipe must not stall the run */
	fd = openat(beneath->parent_fd, last_name(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return judge_errno(beneath, ret, err);
	if (fstat(fd, &st) != 0) {
		(void)close(fd);
		return err_sys(err, "looking for a file beneath %s", beneath->directory);
	}
	*ret = judge_file(beneath, &st);
	if (*ret == BENEATH_FILE)
		*ret_fd = fd;
	else
		(void)close(fd);
	return 0;
}

/* The directories of a path, as far as they are not there. */
static int
make_parents(struct beneath *beneath, const char *path, struct err *err)
{
	CLEANUP(free_text) char *parent = mem_copy(path);
	int fd = beneath->fd, failed = 0;
	char *rest = NULL;

	for (char *name = strtok_r(parent, "/", &rest); *rest != '\0' && failed == 0; name = strtok_r(NULL, "/", &rest)) {
		enum beneath_verdict verdict;

		if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
			failed = err_sys(err, "making a directory beneath %s", beneath->directory);
		else if (step_down(beneath, &fd, name, &verdict, err) != 0)
			failed = -1;
		else if (verdict != BENEATH_FILE)
			failed = err_set(err, ERR_FAILED, "something else than a directory is in the way beneath %s", beneath->directory);
	}
	if (fd != beneath->fd)
		(void)close(fd);
	return failed;
}

int
beneath_create(struct beneath *beneath, const char *path, int *ret_fd, bool *ret_new, struct err *err)
{
	const int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	enum beneath_verdict verdict = BENEATH_UNFIT;

	*ret_fd = -1;
	if (!beneath_is_fit(path))
		return err_set(err, ERR_FAILED, "a path leads out of %s", beneath->directory);
	if (make_parents(beneath, path, err) != 0 || enter_parent(beneath, path, &verdict, err) != 0)
		return -1;
	if (verdict == BENEATH_FILE)
		*ret_fd = openat(beneath->parent_fd, last_name(path), flags | O_CREAT | O_EXCL, 0600);
	*ret_new = *ret_fd >= 0;
	if (verdict == BENEATH_FILE && *ret_fd < 0 && errno == EEXIST)
		*ret_fd = openat(beneath->parent_fd, last_name(path), flags | O_TRUNC);
	return *ret_fd >= 0 ? 0 : err_sys(err, "making a file beneath %s", beneath->directory);
}
