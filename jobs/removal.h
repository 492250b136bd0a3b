/* removal: opens a run for a command: its guards, its connections, and its words in the log. */
#ifndef EXPUNGE_JOBS_REMOVAL_H
#define EXPUNGE_JOBS_REMOVAL_H

#include "erasure/run.h"
#include "jobs/job.h"

enum removal_purpose {
	REMOVAL_LOOK,  /* what is removed is rolled back, or nothing is */
	REMOVAL_RUN,
	REMOVAL_ADOPT  /* as a run, in a database that was restored */
};

/* Refuses while frozen (but to look) and when the clock cannot be trusted, and a run in a database that was restored or is a
 * copy; reads and checks the map, whose problems go to stderr. */
int removal_open(struct job *job, struct run *run, enum removal_purpose purpose, struct err *err);
void removal_close(struct run *run);
/* erase due requests, recount, shred, drill, sign: what `erase` and `nightly` share. */
int removal_carry_out(struct run *run, struct err *err);
/* After it, and whatever else signs: the key journals get the certificates, and then they become files. */
int removal_publish(struct run *run, struct err *err);

#endif
