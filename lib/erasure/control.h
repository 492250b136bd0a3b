/*
 * control: other subjects' rows before and after a removal. The sample takes the nearest neighbours
 * of the batch by key, where an off-by-one would strike, collects their rows as those of an erasure,
 * and compares a hash of every row.
 */
#ifndef EXPUNGE_ERASURE_CONTROL_H
#define EXPUNGE_ERASURE_CONTROL_H

#include "map/program.h"

struct control {
	struct db_result *before; /* table number, rows, hash */
	char id[37];
	int64_t n_subjects;
};

/* n subjects on either side of those of the batch; none of the batch itself, and
 * nobody whose own erasure is approved. apart_from: nor anybody of this tenant, where a whole account goes; or NULL. */
int control_take(struct control *ret, const struct program *program, struct db *db, const char *requests, const char *apart_from,
	int n, struct err *err);
/* ERR_RETRY when a row differs: perhaps the application changed it; the caller tries again, and if it
 * differs each time, it was us. Empties the sample. */
int control_compare(struct control *control, const struct program *program, struct db *db, struct err *err);
void control_release(struct control *control);

#endif
