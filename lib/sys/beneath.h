/*
 * beneath: regular files by a path relative to a directory, which never leads out of it, whatever the path says and
 * whatever lies there: no absolute path, no "..", no symbolic link anywhere, no other file system, no device. Errors
 * name the directory, never the path: it may hold a person's name.
 */
#ifndef EXPUNGE_SYS_BENEATH_H
#define EXPUNGE_SYS_BENEATH_H

#include <stdbool.h>

#include "base/err.h"

#define BENEATH_PATH_MAX 1024

enum beneath_verdict {
	BENEATH_FILE,    /* a regular file of this one name */
	BENEATH_MISSING, /* nothing of this name */
	BENEATH_UNFIT    /* a path that could lead elsewhere, or something else than a regular file of one name */
};

struct beneath;

/* A path as it must be written: names joined by single slashes, none of them "." or "..", none that begins the path with
 * ".expunge", plain text of at most BENEATH_PATH_MAX bytes. Each file then has one path. Pure. */
bool beneath_is_fit(const char *path);

/* A symbolic link is refused. */
int beneath_open(struct beneath **ret, const char *directory, struct err *err);
/* NULL is fine. */
void beneath_close(struct beneath *beneath);
void beneath_closep(struct beneath **beneath);

/* What there is. -1: it could not be found out. */
int beneath_look(struct beneath *beneath, const char *path, enum beneath_verdict *ret, struct err *err);
/* Takes the name away. BENEATH_FILE: it was there; MISSING: it was not; UNFIT: nothing was done. What was found gone is
 * durable only after beneath_sync(). */
int beneath_unlink(struct beneath *beneath, const char *path, enum beneath_verdict *ret, struct err *err);
int beneath_sync(struct beneath *beneath, struct err *err);
/* Opens for reading; *ret_fd, closed by the caller, is -1 unless BENEATH_FILE. */
int beneath_read(struct beneath *beneath, const char *path, int *ret_fd, enum beneath_verdict *ret, struct err *err);
/* A file to be written, mode 0600, with the directories that its path needs, 0700; one that is there is emptied (*ret_new false).
 * Syncing is the caller's. */
int beneath_create(struct beneath *beneath, const char *path, int *ret_fd, bool *ret_new, struct err *err);

#endif
