/*
 * file: durable files. O_NOFOLLOW|O_CLOEXEC everywhere, mode 0600 for what we make.
 */
#ifndef EXPUNGE_SYS_FILE_H
#define EXPUNGE_SYS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"

/* Writes a whole file: without a name at first, so that a kill leaves nothing of it, then fsync, its name,
 * fsync of the directory. With `keep`, an existing file is an error (link semantics); else replaced.
 * mode is the final mode. On failure nothing new is left under either name; only when the directory's
 * own fsync fails after a replacement, the new file stays. */
int file_write(const char *path, const void *bytes, size_t n, mode_t mode, bool keep, struct err *err);
/* Opens a new file for writing in the directory of path, without a name; where the file system cannot do
 * that, *ret_temporary (else NULL) is its name until then: the caller unlinks and frees it. -1 with errno. */
int file_open_nameless(const char *path, char **ret_temporary);
/* Gives it a name; one that is taken is EEXIST. The caller syncs file and directory. -1 with errno. */
int file_name(int fd, const char *temporary, const char *path);
/* A file of a directory gets another name there, never over what has it (EEXIST); not every file system can do that in one
 * step, and then a kill may leave both names. -1 with errno. */
int file_rename(int dir, const char *from, const char *to);
/* The end of such a file: its mode, content and name durable; a name that is taken is an error. */
int file_publish(int fd, const char *temporary, const char *path, mode_t mode, struct err *err);
/* All n bytes to an open file, whatever write() takes at a time; 0, or -1 with errno. */
int file_write_all(int fd, const void *from, size_t n);
/* Up to n bytes of an open file, fewer only at its end, whatever read() gives at a time; -1 with errno. */
ssize_t file_read_all(int fd, void *to, size_t n);
/* A whole regular file of at most max bytes; the caller frees *ret (NUL-terminated). */
int file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct err *err);
/* The same for a secret: refuses a file that group or others can read or that is not ours (or root's). */
int file_read_secret(const char *path, size_t max, struct secret *ret, struct err *err);
/* The same for what systemd has put into $CREDENTIALS_DIRECTORY: its access list for our user looks like a group's right to
 * read. */
int file_read_credential(const char *path, size_t max, struct secret *ret, struct err *err);
/* Appends n bytes as one write at the end and fdatasyncs; creates the file (and fsyncs the
 * directory) if absent. A short write is undone by truncation. Appenders of several processes take turns. */
int file_append(const char *path, const void *bytes, size_t n, struct err *err);
/* The last max bytes of a regular file, or all of a shorter one; *ret_size is the whole file's size. */
int file_read_tail(const char *path, size_t max, char **ret, size_t *ret_n, off_t *ret_size, struct err *err);
/* Cuts a file to `size` bytes and syncs it. */
int file_truncate(const char *path, off_t size, struct err *err);
/* mkdir of the last component with this mode if absent; an existing directory must not be writable by others. */
int file_make_directory(const char *path, mode_t mode, struct err *err);
/* Refuses a file that group or others may write to: whoever writes it decides what is erased. */
int file_check_writers(const char *path, struct err *err);
/* False only when it is certain that there is none: what cannot be looked at counts as there. */
bool file_exists(const char *path);
/* "dir/name"; the caller frees. */
char *file_join(const char *directory, const char *name);

#endif
