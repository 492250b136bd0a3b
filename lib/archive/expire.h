/*
 * expire: old backups end. Killed anywhere, the next run goes on with it:
 *
 *     keys       of the generations that no rule keeps, and of attempts that never came to an archive: the caller shreds
 *                them, with whatever else goes by that change of the root
 *     catalogue  "expired", where the generation's key is a tombstone
 *     files      removed from each destination; one that is away keeps its entry until it is back; so does one that is a
 *                command and fails; where none removes, the file stays, and opens for nobody
 *     catalogue  the row goes with the last file
 */
#ifndef EXPUNGE_ARCHIVE_EXPIRE_H
#define EXPUNGE_ARCHIVE_EXPIRE_H

#include "archive/archive.h"
#include "archive/expiry.h"
#include "keys/keys.h"

struct expire_item {
	int64_t leaf;
	char *tenant, *id; /* of the archive, hexadecimal */
	int64_t created;
};

/* What is to be shredded. */
struct expire {
	struct expire_item *items; /* archives; latest first within a tenant */
	size_t n;
	int64_t *attempts; /* leaves without an archive */
	size_t n_attempts;
	struct str strangers; /* a line for each file of an archive that the catalogue has lost: its key is left alone */
};

void expire_release(struct expire *expire);

struct expiry_keep expire_keep(const struct config *config);
/* While the caller has the lock of keys alone: no archive is on its way then. */
int expire_find(const struct keys *keys, struct db *db, struct expire *ret, struct err *err);

struct expire_removed {
	int64_t n_expired;   /* that this call has found */
	int64_t n_files;     /* removed */
	int64_t n_left;      /* files that are still there */
	int64_t n_stay;      /* that nothing here can remove */
	struct str failures; /* a line for each destination */
	struct str notes;    /* a line for each whose files stay */
};

void expire_removed_release(struct expire_removed *removed);

/* All that comes after the shredding. -1: the catalogue could not be read or written; a destination's trouble is told in
 * `failures`. */
int expire_remove(const struct keys *keys, struct db *db, struct expire_removed *ret, struct err *err);

#endif
