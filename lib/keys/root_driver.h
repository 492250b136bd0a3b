/* root_driver: what a kind of place for a share (a directory, a token) must be able to do. */
#ifndef EXPUNGE_KEYS_ROOT_DRIVER_H
#define EXPUNGE_KEYS_ROOT_DRIVER_H

#include "base/secret.h"
#include "keys/root.h"

struct root_token;

/* One replica of one share. */
struct root_place {
	char *path;
	struct root_token *token;  /* NULL: a directory alone */
	struct root_marker marker; /* what its marker must say */
};

enum root_place_state {
	ROOT_PLACE_OURS,
	ROOT_PLACE_UNMARKED, /* there is no marker, or nothing at all */
	ROOT_PLACE_BAD       /* another's, or not to be read or trusted */
};

struct root_driver {
	const char *name;
	/* err is set unless it is ours. */
	enum root_place_state (*look)(const struct root_place *place, struct err *err);
	/* Makes a place ours. It must hold no record; a missing one is made. */
	int (*mark)(const struct root_place *place, struct err *err);
	/* A new record, durable when this returns 0; one that exists is an error. On failure nothing new is left. */
	int (*write)(const struct root_place *place, const struct root_id *id, const struct secret *record, struct err *err);
	/* ROOT_GOOD: *ret holds what is there, whatever that is. Else absent, leftover, unreadable, damaged or no place. */
	enum root_state (*read)(const struct root_place *place, const struct root_id *id, struct secret *ret, struct err *err);
	/* Gone, absent, not destroyed or no place; err is set in the last two cases. */
	enum root_state (*destroy)(const struct root_place *place, const struct root_id *id, struct place *ret_on, struct err *err);
	/* Adds every root of which there is a record, whole or not. */
	int (*list)(const struct root_place *place, struct root_ids *ret, struct err *err);
	int (*device)(const struct root_place *place, struct place *ret, struct err *err);
};

#endif
