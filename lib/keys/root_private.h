/* root_private: what the files of root.h share. */
#ifndef EXPUNGE_KEYS_ROOT_PRIVATE_H
#define EXPUNGE_KEYS_ROOT_PRIVATE_H

#include "keys/root_driver.h"

struct root_share {
	const struct root_driver *driver;
	struct root_place *places;
	uint32_t n;
};

struct root_store {
	char instance[37];
	struct root_share *shares;
	uint32_t n;
};

/* One replica after the other: for (struct root_walk w = { .store = store }; root_next(&w);) */
struct root_walk {
	const struct root_store *store;
	uint32_t share, replica; /* of the next one, from 0 */
	const struct root_driver *driver;
	const struct root_place *place;
};

bool root_next(struct root_walk *w);

/* A root that was put together, and the record of each of its shares. */
struct root_joined {
	struct secret root;
	struct secret records; /* n_shares times struct root_record */
	uint32_t n_shares;
};

#define ROOT_JOINED_INIT { SECRET_INIT, SECRET_INIT, 0 }

void root_joined_release(struct root_joined *joined);
/* Reads every replica and puts the root together; see root_read. */
int root_join(struct root_store *store, const struct root_id *id, struct root_joined *ret, enum root_verdict *ret_verdict,
	struct root_report *report, struct err *err);
/* Adds a replica to a report; `why` (may be NULL) gives what and remedy. */
struct root_replica *root_report_add(struct root_report *report, const struct root_place *place, const struct root_id *id,
	enum root_state state, const struct err *why);
/* The replica is found otherwise than first thought. */
void root_replica_set(struct root_replica *replica, enum root_state state, const char *what, const char *remedy);

#endif
