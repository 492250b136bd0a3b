/*
 * adopt: a restored database gets the key tree, the catalogue of archives and the certificates that the journal ends with, in
 * the place of its own (formats.md, "Restored, cloned, rolled back"). Never merged: of two histories one counts.
 */
#ifndef EXPUNGE_KEYS_ADOPT_H
#define EXPUNGE_KEYS_ADOPT_H

#include "keys/keys.h"

struct adopted {
	const struct journal *journal; /* that has come furthest */
	struct journal_header head;
	int64_t base;   /* its segments from here on count */
	int64_t leaves; /* that live: each was opened */
};

/* The journal that has come furthest. Every destination must be there, and none may be of another history; the anchor, if
 * there is one, may not have come further. One may have no journal, as an empty disk: if the anchor shows how far they had
 * come. Changes nothing. */
int adopt_choose(const struct keys *keys, struct adopted *ret, struct err *err);
/* Takes it over, in one transaction, after every living leaf has opened with the root that the places hold; advances the
 * application's sequences; destroys roots of changes that the journal never saw. What the last change has left to do is
 * done by the next run (keys_resume). The connection is the job's; an adoption must have been begun. */
int adopt_journal(const struct keys *keys, struct db *db, struct adopted *adopted, struct err *err);

#endif
