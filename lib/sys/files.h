/*
 * files: many new files of one directory, made durable together. One syncfs() for all of them costs
 * about what fsync() costs for one, and the order stays the same: contents first, then names, then
 * the directory.
 */
#ifndef EXPUNGE_SYS_FILES_H
#define EXPUNGE_SYS_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct files;

int files_begin(struct files **ret, const char *directory, struct err *err);
/* Writes one under a temporary name. */
int files_add(struct files *files, const char *name, const void *bytes, size_t n, mode_t mode, struct err *err);
/* Syncs, gives each its name and syncs the directory. A name that exists with the same content is
 * fine, with another content an error. When this returns 0, all are there and durable. */
int files_publish(struct files *files, struct err *err);
/* Removes what has no final name yet, and frees. NULL is fine. */
void files_end(struct files *files);
void files_endp(struct files **files); /* for CLEANUP */

#endif
