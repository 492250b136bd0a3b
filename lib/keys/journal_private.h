/* journal_private: what writing and reading of the journal share. */
#ifndef EXPUNGE_KEYS_JOURNAL_PRIVATE_H
#define EXPUNGE_KEYS_JOURNAL_PRIVATE_H

#include "keys/journal.h"

/* Where a segment is; the caller frees. */
char *journal_path(const struct journal *journal, int64_t segment);
/* Header and trailer of one segment, which are signed. */
int journal_read_head(const struct journal *journal, int64_t segment, const char *path, struct journal_head *ret,
	struct err *err);

#endif
