/* mirror: keeps a copy of a file that only grows, line by line, in another place. */
#ifndef EXPUNGE_SYS_MIRROR_H
#define EXPUNGE_SYS_MIRROR_H

#include "base/err.h"

/* Appends to one file the whole lines that another has more, durably; creates it (0600) if it is absent. A last line without
 * its end, which a crash leaves, is cut off first. Nothing if the other has not more. ERR_REFUSED: what both have differs. */
int mirror_lines(const char *to, const char *from, struct err *err);

#endif
