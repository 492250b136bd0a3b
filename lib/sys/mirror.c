#include "sys/mirror.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"

#define BLOCK 65536
#define TAIL ((size_t)64 << 10) /* bytes: more than a line has */

/* Whole lines of a file: how many bytes. An absent file has none. */
static int
whole_lines(const char *path, off_t *ret, struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n = 0;
	off_t size = 0;

	*ret = 0;
	if (!file_exists(path))
		return 0;
	if (file_read_tail(path, TAIL, &text, &n, &size, err) != 0)
		return -1;
	for (*ret = size; n > 0 && text[n - 1] != '\n'; n--)
		--*ret;
	return 0;
}

/* The bytes [from, from + n) of a file. */
static int
read_part(int fd, off_t from, char *to, size_t n, const char *path, struct err *err)
{
	if (lseek(fd, from, SEEK_SET) != from)
		return err_sys(err, "reading %s", path);
	if (file_read_all(fd, to, n) != (ssize_t)n)
		return err_set(err, ERR_FAILED, "reading %s: it is shorter than it was", path);
	return 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Whether the first n bytes of two files are. */
static int
same(int target, int source, off_t n, const char *to, const char *from, struct err *err)
{
	char ours[BLOCK], theirs[BLOCK];

	for (off_t at = 0; at < n; at += BLOCK) {
		size_t part = n - at < BLOCK ? (size_t)(n - at) : BLOCK;

		if (read_part(source, at, theirs, part, from, err) != 0 || read_part(target, at, ours, part, to, err) != 0)
			return -1;
		if (memcmp(ours, theirs, part) != 0) {
			(void)err_set(err, ERR_REFUSED, "%s and %s are not of one history", from, to);
			return err_hint(err, "find out which one counts, and move the other away");
		}
	}
	return 0;
}

int
mirror_lines(const char *to, const char *from, struct err *err)
{
	CLEANUP(close_fd) int source = -1, target = -1;
	char part[BLOCK];
	off_t n_to, n_from;

	if (whole_lines(to, &n_to, err) != 0 || whole_lines(from, &n_from, err) != 0)
		return -1;
	if (n_from <= n_to)
		return 0;
	source = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	target = n_to == 0 ? -1 : open(to, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (source < 0 || (n_to > 0 && target < 0))
		return err_sys(err, "opening %s", source < 0 ? from : to);
	if (same(target, source, n_to, to, from, err) != 0)
		return -1;
	if (n_to > 0 && file_truncate(to, n_to, err) != 0)
		return -1;
	for (off_t at = n_to; at < n_from; at += BLOCK) {
		size_t n = n_from - at < BLOCK ? (size_t)(n_from - at) : BLOCK;

		if (read_part(source, at, part, n, from, err) != 0 || file_append(to, part, n, err) != 0)
			return -1;
	}
	return 0;
}
