#include "sys/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"

#define MAKE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

struct entry {
	char *name, *temporary; /* temporary NULL: it has its final name */
	size_t n;
};

struct files {
	char *directory;
	int fd;
	struct entry *entries;
	size_t n;
};

int
files_begin(struct files **ret, const char *directory, struct err *err)
{
	CLEANUP(files_endp) struct files *files = mem_zero(1, sizeof(*files));

	files->directory = mem_copy(directory);
	files->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->fd < 0)
		return err_sys(err, "opening directory %s", directory);
	*ret = TAKE_PTR(files);
	return 0;
}

int
files_add(struct files *files, const char *name, const void *bytes, size_t n, mode_t mode, struct err *err)
{
	struct entry *entry = MEM_PUSH(files->entries, files->n);
	int fd, failed;

	entry->name = mem_copy(name);
	entry->n = n;
	entry->temporary = mem_printf(".%s.new", name);
	fd = openat(files->fd, entry->temporary, MAKE, 0600);
	/* a leftover of a killed run has the same name, and goes */
	if (fd < 0 && errno == EEXIST && unlinkat(files->fd, entry->temporary, 0) == 0)
		fd = openat(files->fd, entry->temporary, MAKE, 0600);
	if (fd < 0)
		return err_sys(err, "creating %s/%s", files->directory, entry->temporary);
	failed = file_write_all(fd, bytes, n) != 0 || fchmod(fd, mode) != 0 ? err_sys(err, "writing %s/%s", files->directory, name) : 0;
	if (close(fd) != 0 && failed == 0)
		failed = err_sys(err, "writing %s/%s", files->directory, name);
	return failed;
}

/* The name is taken: by the same content, or by something else. */
static int
accept_existing(const struct files *files, struct entry *entry, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(files->directory, entry->name);
	CLEANUP(free_text) char *temporary = file_join(files->directory, entry->temporary);
	CLEANUP(free_text) char *there = NULL;
	CLEANUP(free_text) char *ours = NULL;
	size_t there_n = 0, ours_n = 0;

	if (file_read(path, entry->n, &there, &there_n, err) == 0 && file_read(temporary, entry->n, &ours, &ours_n, err) == 0 &&
	    there_n == ours_n && memcmp(there, ours, ours_n) == 0) {
		err_clear(err);
		return 0;
	}
	(void)err_set(err, ERR_FAILED, "%s exists and holds something else", path);
	return err_hint(err, "move it away; the next run writes the true one");
}

int
files_publish(struct files *files, struct err *err)
{
	if (syncfs(files->fd) != 0)
		return err_sys(err, "syncing the file system of %s", files->directory);
	for (size_t i = 0; i < files->n; i++) {
		struct entry *entry = &files->entries[i];

		if (file_rename(files->fd, entry->temporary, entry->name) != 0) {
			if (errno != EEXIST)
				return err_sys(err, "naming %s/%s", files->directory, entry->name);
			if (accept_existing(files, entry, err) != 0)
				return -1;
			if (unlinkat(files->fd, entry->temporary, 0) != 0)
				return err_sys(err, "removing %s/%s", files->directory, entry->temporary);
		}
		free(entry->temporary);
		entry->temporary = NULL;
	}
	return fsync(files->fd) == 0 ? 0 : err_sys(err, "syncing directory %s", files->directory);
}

void
files_end(struct files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->n; i++) {
		if (files->entries[i].temporary != NULL)
			(void)unlinkat(files->fd, files->entries[i].temporary, 0);
		free(files->entries[i].temporary);
		free(files->entries[i].name);
	}
	if (files->fd >= 0)
		(void)close(files->fd);
	free(files->entries);
	free(files->directory);
	free(files);
}

void
files_endp(struct files **files)
{
	files_end(*files);
}
