/* lines: reads a file line by line with a memory of one buffer, however long the file is. */
#ifndef EXPUNGE_SYS_LINES_H
#define EXPUNGE_SYS_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lines;

/* A regular file (O_NOFOLLOW); what is appended after this moment is not read. A line of more than `longest` bytes is
 * an error. */
int lines_open(struct lines **ret, const char *path, size_t longest, struct err *err);
/* The next line, without its newline, NUL-terminated, until the next call; NULL at the end. *ret_n: its length;
 * *ret_ended: it had a newline, which only the last line may lack. */
int lines_next(struct lines *lines, char **ret, size_t *ret_n, bool *ret_ended, struct err *err);
void lines_close(struct lines *lines);
void lines_closep(struct lines **lines);

#endif
