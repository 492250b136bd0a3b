/* purge_private: what the files of purge share. */
#ifndef EXPUNGE_ERASURE_PURGE_PRIVATE_H
#define EXPUNGE_ERASURE_PURGE_PRIVATE_H

#include "erasure/purge.h"
#include "erasure/tally.h"

/* columns of purge_claimed */
enum { P_TENANT, P_STATE, P_CLAIMED_PLAN, P_DOCUMENT, P_IS_REMOVED, P_IS_SWEPT };

struct purge_removal;
struct purge_chunk;

/* Rows that leave because they are kept elsewhere: what is done in the place of a purge's own steps, in the transaction of each
 * chunk. */
struct purge_keep {
	void *ctx;
	/* It may still be done. */
	int (*again)(void *ctx, struct err *err);
	/* What was collected is kept, row by row; else nothing of the chunk goes. */
	int (*take)(void *ctx, const struct purge_removal *removal, const struct purge_chunk *chunk, struct err *err);
	int (*record)(void *ctx, const struct purge_removal *removal, const struct purge_chunk *chunk, const struct tallies *tallies,
		bool controlled, struct err *err);
};

/* An account under way. */
struct purge_removal {
	const struct purge *purge;
	const char *closure;
	struct db_result *claimed; /* purge_claimed, as it was at first */
	const char *tenant, *document;
	bool is_swept; /* the tenant's own row is gone already */
	const struct purge_keep *keep; /* NULL: a purge */
	int64_t done; /* rows, so far */
};

/* One transaction: rows of one table as roots, and all that hangs on them. */
struct purge_chunk {
	int table;      /* index into the maps */
	int64_t limit;  /* of roots */
	int64_t roots, rows, subjects;
	int64_t max_rows; /* more than these need fewer roots */
	int round;      /* from 1: an earlier chunk once more, for rows that came after it; no roots */
	bool last;      /* the tenant's own row goes with it */
	bool skip_locked; /* roots that somebody has locked are for another chunk */
	bool too_big;
	bool by_cascade; /* see struct tallies */
	bool in_ledger;
	char id[37];
};

/* The closure is claimed, by the plan that stands in its place, for the map and the schema that there are. *ret_removed: all is
 * gone already. Its row stays locked until the transaction ends. */
int purge_read_claimed(const struct purge *purge, const char *closure, struct db_result **ret, bool *ret_removed, struct err *err);
/* The same for a removal under way, and that neither a freeze nor a hold has come. */
int purge_read_again(const struct purge_removal *removal, struct err *err);
/* A chunk, again after what passes by itself, and with fewer roots when it is more than a transaction should have. */
int purge_chunk(const struct purge_removal *removal, struct purge_chunk *chunk, struct err *err);
/* Chunk after chunk until none of the tenant's rows is left. */
int purge_take_all(struct purge_removal *removal, bool *ret_stopped, struct err *err);
/* The subjects of a chunk: an id, key and birth columns' text of each, as the ledger hashes them. */
int purge_chunk_subjects(const struct purge_removal *removal, const struct purge_chunk *chunk, struct db_result **ret, struct err *err);
/* The patients of an account that was dormant, into the ledger, before its purge ends. Nothing for any other. */
int purge_tell_dormant(const struct purge_removal *removal, struct err *err);
/* Of a plan: what is sealed of an account that is dormant; *ret: it is. */
int purge_plan_dormant(const struct purge *purge, const char *closure, struct purge_plan *plan, bool *ret, struct err *err);
/* What was collected or counted, table by table; log tables follow theirs, and any update adds to them. */
void purge_plan_rows(const struct purge *purge, const int64_t *counts, struct purge_plan *plan);
/* Counts once more; the saved keys must still be there. */
int purge_count(const struct purge *purge, const char *closure, const char *tenant, struct recount *ret, struct err *err);

/* Rows of a chunk, by table of the maps, counted before they are deleted. */
struct purge_counts {
	int64_t *all;
	int64_t *following; /* of them those that are known by their owner (map/follow.h) */
};

void purge_counts_make(struct purge_counts *ret, const struct purge *purge);
void purge_counts_release(struct purge_counts *counts);
/* Of these sets (uuid[] text), and this round. */
int purge_count_rows(const struct purge *purge, const char *sets, int round, struct purge_counts *ret, struct err *err);

enum purge_lock { PURGE_UNLOCKED, PURGE_LOCK, PURGE_SKIP_LOCKED };

/* Adds rows of a table (index into the maps) to a set, as roots to collect from: those of this tenant, at most `limit`, locked
 * for a removal. *ret_rows: how many. */
int purge_pick(const struct purge *purge, const char *set, int table, const char *tenant, int64_t limit, enum purge_lock lock,
	int64_t *ret_rows, struct err *err);
/* Lines "foreign: ...": rows of the set that belong to another tenant, or to none. */
int purge_find_foreign(const struct purge *purge, const char *set, const char *tenant, struct str *lines, struct err *err);
/* Lines "blocker: ...": rows that stay and refer to rows of the set, or name files of it. */
int purge_find_blockers(const struct purge *purge, const char *set, struct str *lines, struct err *err);

#endif
