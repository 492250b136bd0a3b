#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

char *
file_join(const char *directory, const char *name)
{
	size_t n = strlen(directory);

	while (n > 1 && directory[n - 1] == '/')
		n--;
	return mem_printf("%.*s%s%s", (int)n, directory, n == 1 && directory[0] == '/' ? "" : "/", name);
}

int
file_read_tail(const char *path, size_t max, char **ret, size_t *ret_n, off_t *ret_size, struct err *err)
{
	CLEANUP(free_text) char *text = mem_zero(max + 1, 1);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	size_t want, n = 0;

	if (size < 0) {
		(void)err_sys(err, "reading %s", path);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	want = (uintmax_t)size < max ? (size_t)size : max;
	while (n < want) {
		ssize_t got = pread(fd, text + n, want - n, size - (off_t)(want - n));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (n < want)
		(void)err_sys(err, "reading %s", path);
	(void)close(fd);
	if (n < want)
		return -1;
	*ret = TAKE_PTR(text);
	*ret_n = n;
	*ret_size = size;
	return 0;
}

int
file_truncate(const char *path, off_t size, struct err *err)
{
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	bool failed = fd < 0 || ftruncate(fd, size) != 0 || fdatasync(fd) != 0;

	if (failed)
		(void)err_sys(err, "cutting %s to %jd bytes", path, (intmax_t)size);
	if (fd >= 0)
		(void)close(fd);
	return failed ? -1 : 0;
}

int
file_check_writers(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return err_sys(err, "looking at %s", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || S_ISLNK(st.st_mode))
		return 0;
	err_set(err, ERR_FAILED, "%s: others may write to it (mode %04o)", path, (unsigned)(st.st_mode & 07777));
	return err_hint(err, "chmod go-w %s", path);
}

bool
file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* the directory that path is in; the caller frees */
static char *
parent_of(const char *path)
{
	size_t n = strlen(path);
	const char *slash;

	while (n > 1 && path[n - 1] == '/')
		n--;
	slash = memrchr(path, '/', n);
	if (slash == NULL)
		return mem_copy(".");
	return mem_copy_n(path, slash == path ? 1 : (size_t)(slash - path));
}

/* a new name is durable only once the directory that holds it is */
static int
sync_parent(const char *path, struct err *err)
{
	CLEANUP(free_text) char *parent = parent_of(path);
	CLEANUP(close_fd) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "opening directory %s", parent);
	if (fsync(fd) != 0)
		return err_sys(err, "syncing directory %s", parent);
	return 0;
}

int
file_write_all(int fd, const void *from, size_t n)
{
	const char *bytes = from;

	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

/* A name in the same directory that readers of the directory pass over; the caller frees. */
static char *
hidden_name(const char *path, const char *ending)
{
	CLEANUP(free_text) char *parent = parent_of(path);
	const char *slash = strrchr(path, '/');
	CLEANUP(free_text) char *hidden = mem_printf(".%s.%s", slash == NULL ? path : slash + 1, ending);

	return file_join(parent, hidden);
}

int
file_open_nameless(const char *path, char **ret_temporary)
{
	CLEANUP(free_text) char *parent = parent_of(path);
	int fd = open(parent, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	*ret_temporary = NULL;
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		CLEANUP(free_text) char *temporary = hidden_name(path, "XXXXXX");

		fd = mkostemp(temporary, O_CLOEXEC);
		if (fd >= 0)
			*ret_temporary = TAKE_PTR(temporary);
	}
	return fd;
}

int
file_name(int fd, const char *temporary, const char *path)
{
	char self[40];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return temporary != NULL ? link(temporary, path) : linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int
file_rename(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	return linkat(dir, from, dir, to, 0) == 0 && unlinkat(dir, from, 0) == 0 ? 0 : -1;
}

int
file_publish(int fd, const char *temporary, const char *path, mode_t mode, struct err *err)
{
	if (fchmod(fd, mode) != 0 || fsync(fd) != 0 || file_name(fd, temporary, path) != 0)
		return err_sys(err, "writing %s", path);
	return sync_parent(path, err);
}

/* Replacing needs a second name, which a leftover of a killed process must not occupy. */
static int
publish(int fd, const char *temporary, const char *path, bool keep)
{
	CLEANUP(free_text) char *second = hidden_name(path, "new");
	int saved;

	if (file_name(fd, temporary, path) == 0)
		return 0;
	if (keep || errno != EEXIST)
		return -1;
	(void)unlink(second);
	if (file_name(fd, temporary, second) != 0)
		return -1;
	if (rename(second, path) == 0)
		return 0;
	saved = errno;
	(void)unlink(second);
	errno = saved;
	return -1;
}

/* Fills a new file; its content is on disk when this returns 0. */
static int
fill(int fd, const void *bytes, size_t n, mode_t mode)
{
	return file_write_all(fd, bytes, n) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0 ? -1 : 0;
}

static void
unlink_temporary(char **temporary)
{
	if (*temporary != NULL)
		(void)unlink(*temporary);
	free(*temporary);
}

int
file_write(const char *path, const void *bytes, size_t n, mode_t mode, bool keep, struct err *err)
{
	CLEANUP(unlink_temporary) char *temporary = NULL;
	CLEANUP(close_fd) int fd = file_open_nameless(path, &temporary);

	if (fd < 0)
		return err_sys(err, "creating a file for %s", path);
	if (fill(fd, bytes, n, mode) != 0 || publish(fd, temporary, path, keep) != 0)
		return err_sys(err, "writing %s", path);
	if (sync_parent(path, err) != 0) {
		if (keep)
			(void)unlink(path);
		return -1;
	}
	return 0;
}

/* Opens a regular file for reading; O_NONBLOCK so that a FIFO in its place cannot stall a run. */
static int
open_regular(const char *path, struct stat *ret_st, struct err *err)
{
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int opened;

	if (fd < 0 && errno == ELOOP) {
		err_set(err, ERR_FAILED, "opening %s: it is a symbolic link", path);
		return err_hint(err, "name the file itself");
	}
	if (fd < 0)
		return err_sys(err, "opening %s", path);
	if (fstat(fd, ret_st) != 0)
		return err_sys(err, "looking at %s", path);
	if (!S_ISREG(ret_st->st_mode))
		return err_set(err, ERR_FAILED, "opening %s: not a regular file", path);
	opened = fd;
	fd = -1;
	return opened;
}

ssize_t
file_read_all(int fd, void *to, size_t n)
{
	char *bytes = to;
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, bytes + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static int
check_size(const char *path, const struct stat *st, size_t max, struct err *err)
{
	if (st->st_size < 0 || (uintmax_t)st->st_size > max)
		return err_set(err, ERR_FAILED, "reading %s: larger than %zu bytes", path, max);
	return 0;
}

int
file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct err *err)
{
	struct stat st;
	CLEANUP(close_fd) int fd = open_regular(path, &st, err);
	CLEANUP(free_text) char *bytes = NULL;
	size_t n;
	ssize_t got;

	if (fd < 0 || check_size(path, &st, max, err) != 0)
		return -1;
	n = (size_t)st.st_size;
	bytes = mem_resize(NULL, n + 2, 1); /* one byte more than wanted tells a file that grew */
	got = file_read_all(fd, bytes, n + 1);
	if (got < 0)
		return err_sys(err, "reading %s", path);
	if ((size_t)got != n)
		return err_set(err, ERR_FAILED, "reading %s: it changed meanwhile", path);
	bytes[n] = '\0';
	*ret = TAKE_PTR(bytes);
	if (ret_n != NULL)
		*ret_n = n;
	return 0;
}

/* forbidden: what group and others may not have of it. */
static int
read_secret(const char *path, size_t max, mode_t forbidden, struct secret *ret, struct err *err)
{
	struct stat st;
	CLEANUP(close_fd) int fd = open_regular(path, &st, err);
	CLEANUP(secret_erase) struct secret bytes = SECRET_INIT;
	ssize_t got;

	if (fd < 0 || check_size(path, &st, max, err) != 0)
		return -1;
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_FAILED, "reading secret file %s: it belongs to user %u", path, (unsigned)st.st_uid);
	if ((st.st_mode & forbidden) != 0) {
		err_set(err, ERR_FAILED, "reading secret file %s: group or others may use it (mode %04o)", path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(err, "chmod 600 %s, and ask who may have read it", path);
	}
	secret_new(&bytes, (size_t)st.st_size);
	got = file_read_all(fd, bytes.bytes, bytes.n);
	if (got < 0)
		return err_sys(err, "reading %s", path);
	if ((size_t)got != bytes.n)
		return err_set(err, ERR_FAILED, "reading %s: it changed meanwhile", path);
	*ret = bytes;
	bytes = (struct secret)SECRET_INIT;
	return 0;
}

int
file_read_secret(const char *path, size_t max, struct secret *ret, struct err *err)
{
	return read_secret(path, max, S_IRWXG | S_IRWXO, ret, err);
}

int
file_read_credential(const char *path, size_t max, struct secret *ret, struct err *err)
{
	return read_secret(path, max, S_IWGRP | S_IXGRP | S_IRWXO, ret, err);
}

/* Opens for appending; *ret_new tells whether the name is new and its directory must be synced. */
static int
open_append(const char *path, bool *ret_new)
{
	const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags);

	*ret_new = false;
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	*ret_new = fd >= 0;
	return fd >= 0 || errno != EEXIST ? fd : open(path, flags);
}

int
file_append(const char *path, const void *bytes, size_t n, struct err *err)
{
	bool is_new;
	CLEANUP(close_fd) int fd = open_append(path, &is_new);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	ssize_t done;

	if (fd < 0)
		return err_sys(err, "opening %s", path);
	/* the lock keeps our truncation from taking the record of another appender with it */
	while (fcntl(fd, F_OFD_SETLKW, &lock) != 0)
		if (errno != EINTR)
			return err_sys(err, "locking %s", path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, "looking at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "appending to %s: not a regular file", path);
	done = write(fd, bytes, n);
	if (done < 0 || (size_t)done != n) {
		if (done < 0)
			err_sys(err, "appending to %s", path);
		else
			err_set(err, ERR_FAILED, "appending to %s: %zd of %zu bytes written, is the disk full?", path, done, n);
		if (ftruncate(fd, st.st_size) != 0)
			err_hint(err, "the end of %s is torn: cut it back to %lld bytes", path, (long long)st.st_size);
		return -1;
	}
	if (fdatasync(fd) != 0)
		return err_sys(err, "syncing %s", path);
	return is_new ? sync_parent(path, err) : 0;
}

int
file_make_directory(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	mode_t before;
	bool made;

	/* in one step: a kill must not leave a directory of another mode, which nobody would mend */
	before = umask(~mode & 0777);
	made = mkdir(path, mode) == 0;
	(void)umask(before);
	if (made)
		return sync_parent(path, err);
	if (errno != EEXIST)
		return err_sys(err, "creating directory %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "opening directory %s", path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, "looking at %s", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(err, ERR_FAILED, "using directory %s: others may write to it (mode %04o)", path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(err, "chmod go-w %s", path);
	}
	return 0;
}
