/*
 * replay: erasures of which a restored database knows nothing are carried out again, before the application writes to it.
 * The ledger says which; a subject is told by the keyed hash of its row and of its declared birth columns, because a restored
 * sequence may have given an erased number to somebody else.
 */
#ifndef EXPUNGE_ERASURE_REPLAY_H
#define EXPUNGE_ERASURE_REPLAY_H

#include "erasure/run.h"
#include "keys/keys.h"

struct replay_result {
	int64_t unknown;   /* erasures of the ledger that the database does not know */
	int64_t back;      /* of them, subjects that are there again */
	int64_t mixed;     /* of these, merged here with somebody who was not erased: left to a person */
	int64_t missing;   /* certified erasures that the ledger does not know: whether their subjects are back nobody can say, and nothing is asked for */
	int64_t filed;     /* requests that ask for them */
	int64_t strangers; /* rows with an erased one's key that were born at another time: left alone */
};

/* Leaf keys of subjects that this database does not have are retired: whoever gets their numbers gets keys of their own. Who is
 * erased later loses the retired ones with them. *ret_n: how many. */
int replay_retire(struct run *run, int64_t *ret_n, struct err *err);
/* Looks, and changes nothing but the run's transaction. */
int replay_find(struct run *run, const struct keys *keys, struct replay_result *ret, struct err *err);
/* The same, and asks for their erasure again; what remains is planning, and replay_schedule, a person's. Only the job may ask,
 * because only the ledger says who it was, and the ledger's key is the job's. One subject of an erasure at a time: to be
 * asked again until none is back. */
int replay_file(struct run *run, const struct keys *keys, struct replay_result *ret, struct err *err);
/* Ends those that were carried out and recounted: each has its certificate already; what that waits for is counted from now. */
int replay_end(struct run *run, struct err *err);

#endif
