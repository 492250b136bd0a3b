/* progress: one line on a terminal, rewritten in place at most ten times a second; nothing elsewhere. */
#ifndef EXPUNGE_SYS_PROGRESS_H
#define EXPUNGE_SYS_PROGRESS_H

#include <stdint.h>

/* what: "erasing"; total 0 when unknown. */
void progress_start(const char *what, int64_t total);
void progress_at(int64_t done);
void progress_end(void);
/* Takes the line away; the next progress_at draws it again. The log does so before each of its lines. */
void progress_clear(void);

#endif
