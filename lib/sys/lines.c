#include "sys/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define BLOCK 65536

struct lines {
	int fd;
	char *path, *buffer; /* of longest + BLOCK + 1 bytes */
	size_t longest;
	size_t from, to; /* what is read and not handed out */
	off_t left;      /* of the file */
};

int
lines_open(struct lines **ret, const char *path, size_t longest, struct err *err)
{
	CLEANUP(lines_closep) struct lines *lines = mem_zero(1, sizeof(*lines));
	struct stat st;

	lines->path = mem_copy(path);
	lines->buffer = mem_zero(longest + BLOCK + 1, 1);
	lines->longest = longest;
	lines->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (lines->fd < 0 || fstat(lines->fd, &st) != 0)
		return err_sys(err, "reading %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "reading %s: not a regular file", path);
	lines->left = st.st_size;
	*ret = TAKE_PTR(lines);
	return 0;
}

/* Moves what is left to the front and reads a block behind it. */
static int
fill(struct lines *lines, struct err *err)
{
	size_t want = lines->left < BLOCK ? (size_t)lines->left : BLOCK;
	ssize_t got;

	(void)memmove(lines->buffer, lines->buffer + lines->from, lines->to - lines->from);
	lines->to -= lines->from;
	lines->from = 0;
	do
		got = read(lines->fd, lines->buffer + lines->to, want);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, "reading %s", lines->path);
	if (got == 0)
		return err_set(err, ERR_FAILED, "reading %s: it became shorter meanwhile", lines->path);
	lines->to += (size_t)got;
	lines->left -= got;
	return 0;
}

int
lines_next(struct lines *lines, char **ret, size_t *ret_n, bool *ret_ended, struct err *err)
{
	char *end;

	while ((end = memchr(lines->buffer + lines->from, '\n', lines->to - lines->from)) == NULL && lines->left > 0) {
		if (lines->to - lines->from > lines->longest)
			break;
		if (fill(lines, err) != 0)
			return -1;
	}
	*ret = NULL;
	*ret_ended = end != NULL;
	*ret_n = end != NULL ? (size_t)(end - lines->buffer) - lines->from : lines->to - lines->from;
	if (*ret_n > lines->longest)
		return err_set(err, ERR_FAILED, "reading %s: a line of more than %zu bytes", lines->path, lines->longest);
	if (end == NULL && *ret_n == 0)
		return 0;
	*ret = lines->buffer + lines->from;
	(*ret)[*ret_n] = '\0';
	lines->from += *ret_n + (end != NULL ? 1 : 0);
	return 0;
}

void
lines_close(struct lines *lines)
{
	if (lines == NULL)
		return;
	if (lines->fd >= 0)
		(void)close(lines->fd);
	free(lines->path);
	free(lines->buffer);
	free(lines);
}

void
lines_closep(struct lines **lines)
{
	lines_close(*lines);
}
