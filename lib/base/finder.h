/* finder: where a text is in a list of texts, by binary search. */
#ifndef EXPUNGE_BASE_FINDER_H
#define EXPUNGE_BASE_FINDER_H

#include <stddef.h>

struct finder {
	struct finder_entry *entries; /* sorted */
	size_t n;
};

/* texts: `n` of them, `stride` bytes apart; they stay the caller's and must outlive the finder. */
void finder_make(struct finder *ret, const char *texts, size_t n, size_t stride);
/* Where in the list, or -1. Of equal texts, any. */
long finder_find(const struct finder *finder, const char *text);
void finder_release(struct finder *finder);

#endif
