/*
 * purge: takes every row of a whole tenant out of the live database: its subjects' rows, also those that an erasure would
 * retain or mask (UK GDPR Art. 28(3)(g): the practice has them by its export), its own, and last the tenant's row itself.
 *
 * Only of a closure whose state is `claimed`, chunk by chunk: first so many subjects at a time, then the tenant's own tables,
 * then what is left together with the tenant's row. A chunk is one transaction, collected under lock, refused as a whole if
 * a single row of it is another tenant's, and proven by footprint and control sample as an erasure is. What a killed run left
 * is found again by looking. Freeze, holds, map and schema are looked at in every chunk: what comes stops it before the next.
 */
#ifndef EXPUNGE_ERASURE_PURGE_H
#define EXPUNGE_ERASURE_PURGE_H

#include "erasure/run.h"
#include "erasure/verify.h"

struct purge {
	struct run *run;         /* its map says whose a row is */
	struct map *map;         /* of a whole account: map/closure.h */
	struct program *program; /* of that */
	int tenant;              /* the tenant's table in both maps */
};

/* ERR_REFUSED where the map knows one tenant only. */
int purge_open(struct purge *ret, struct run *run, struct err *err);
/* Every row that goes has its key saved, also those whose owner's would do (map/follow.h). */
void purge_save_all_keys(struct purge *purge);
void purge_release(struct purge *purge);
/* The run as it is now, with the map and program of a whole account. Not to be closed. */
struct run purge_view(const struct purge *purge);

struct purge_plan {
	struct str document; /* doc/plan.md, "The plan of an account" */
	char hash[72];
	struct str obstacles; /* lines of the document; empty when nothing is in the way */
	int64_t n_rows, n_subjects;
};

/* What would go with a tenant. Collected in a transaction that is rolled back. */
int purge_plan(const struct purge *purge, const char *closure, const char *tenant, struct purge_plan *ret, struct err *err);
void purge_plan_release(struct purge_plan *plan);

/* ERR_REFUSED: a hold is on the tenant or on anybody of it, or one names a tenant that there is not and never was: it was meant
 * for somebody. */
int purge_check_holds(const struct purge *purge, const char *tenant, struct err *err);

/* Takes the rows of a claimed account, by the plan that was approved for it, or what is left of them. 0: all are gone, now or
 * before; ERR_REFUSED: something a person must look at stopped it before the first chunk or before the next. *ret_stopped: the run
 * was asked to stop. */
int purge_remove(const struct purge *purge, const char *closure, bool *ret_stopped, struct err *err);
/* Waits for transactions older than the removal (verify.wait_seconds), takes document files away, and counts by two other ways
 * than the removal took: what the map says is the tenant's, and whatever has or refers to a key that was removed; all on run->recount.
 * Then vacuums, and the closure is `removed`. ERR_FAILED: rows are left, and the next purge_remove takes them. *ret_waiting: older
 * transactions are still open, and the next run goes on. */
int purge_recount(const struct purge *purge, const char *closure, bool *ret_waiting, struct err *err);
/* The certificate of an account that is `shredded` (removed, and its keys gone with the root that they went by): counted once more,
 * signed, stored, and written to files where no journal has to have it first. With it the tenant's requests forget whom they were about. */
int purge_attest(const struct purge *purge, const char *closure, struct err *err);

#endif
