/* person: a person asks one of the control schema's functions; what is refused is written down. */
#ifndef EXPUNGE_JOBS_PERSON_H
#define EXPUNGE_JOBS_PERSON_H

#include "jobs/job.h"

/* Runs the query on job->db in a transaction. A refusal is recorded as an event of kind `denied`, with
 * the command, the request (NULL: none) and the code; never its words. */
int person_asks(struct job *job, const struct query *query, const char *const *params, const char *request,
	struct db_result **ret, struct err *err);

#endif
