/*
 * backup: one sealed archive of a tenant's rows, in one snapshot, to every destination. Killed anywhere, it leaves nothing
 * under a name that the next run does not finish or forget.
 *
 *     leaf keys          of the generation, of the tenant, of each subject; a shredded one's rows are withheld
 *     nameless files     written, synced, read back from each destination
 *     key journal        of each destination that is left: it knows the leaves before the archive has a name there
 *     catalogue          "naming", in these destinations
 *     names              durable
 *     catalogue          "complete" in these, and on its way to the destinations that are commands
 *     commands           are given it, without any key in memory (sending.h)
 */
#ifndef EXPUNGE_ARCHIVE_BACKUP_H
#define EXPUNGE_ARCHIVE_BACKUP_H

#include "archive/destination.h"
#include "archive/fill.h"

struct backup {
	const struct program *program;
	const char *schema_version; /* catalog_version() before the program's catalogue was read */
	struct db *db;   /* reads: of the map's login; sees all rows; has the tables of collect_seal_tables */
	struct db *keys_db; /* the keyring's, and the catalogue's */
	const struct keys *keys;
	const struct config *config; /* where files are that rows name */
	bool full;                   /* refer to no earlier archive */
	const char *closure;         /* that makes the account dormant: the archive is its own, whole, and expires by no schedule; NULL: a backup */
	keys_hash *hash; /* what a tombstone keeps of a name */
	void *hash_ctx;
	uint64_t system_identifier;
	void (*progress)(int64_t rows);
	bool (*stop)(void);
};

struct backup_result {
	char id[2 * ARCHIVE_ID_SIZE + 1];
	struct archive_summary summary;
	int64_t subjects, withheld;
	int64_t n_missing;   /* files that rows name, and that were not there */
	struct err whole;    /* why nothing of the archive before could be referred to, where something should have been */
	size_t n_failed;     /* destinations, or archives that a command has not taken */
	struct str failures; /* a line for each */
};

void backup_result_release(struct backup_result *result);

/* ERR_LOCKED: another run backs this tenant up. ERR_REFUSED: the schema has changed since the map was bound, or the
 * database is behind its key journal. When it fails before the archive is complete, nothing is under a final name. */
int backup_tenant(const struct backup *backup, const char *tenant, struct backup_result *ret, struct err *err);

/* Reads every catalogued archive of a tenant again in each of its destinations: signature, hash, index, and each frame whose
 * leaf lives, those in files that it refers to as well; such a file whose generation is shredded, to its hash. tell() gets a line for each copy; the counts are of copies. n_unread: with commands that give nothing back; tally
 * and why are NULL then. n_missing: in destinations of the configuration that never had one. The catalogue keeps which are bad.
 * With `repair` those bad and missing are copied from a good one (repair.h), and count no more as bad; a place that cannot be
 * written to is told once more, with the reason. */
struct backup_check {
	void (*tell)(const char *tenant, const char *id, const char *destination, const struct archive_tally *tally,
		const struct err *why);
	bool repair;
	/* why NULL: it has a good copy, or is sent one by the next backup (`later`) */
	void (*repaired)(const char *tenant, const char *id, const char *destination, bool later, const struct err *why);
	int64_t n_good, n_bad, n_unread, n_missing, n_repaired;
};
int backup_verify(const struct backup *backup, const char *tenant, struct backup_check *check, struct err *err);

#endif
