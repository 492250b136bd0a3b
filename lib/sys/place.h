/* place: a directory that something precious is kept in: whose it is, and on what. */
#ifndef EXPUNGE_SYS_PLACE_H
#define EXPUNGE_SYS_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct place {
	dev_t device;
	const char *file_system; /* "ext4", "xfs", "btrfs", ...; "unknown"; static */
	bool overwrites; /* what is written over a file goes where the file was, as far as the file system decides */
};

/* Opens a directory (*ret_fd, closed by the caller). Refuses a symbolic link, one of another user than us or root, and
 * one that group or others may write to. *ret_missing: there is nothing of this name. */
int place_open(const char *path, int *ret_fd, bool *ret_missing, struct err *err);
/* What an open file or directory is on. */
int place_of(int fd, struct place *ret, struct err *err);
/* The path without symbolic links and dots, as far as it exists; the caller frees. */
char *place_resolve(const char *path);
/* The second is the first, or somewhere in it. Both absolute and resolved. */
bool place_contains(const char *outer, const char *inner);

#endif
