/* notices: the outbox, for the commands that send it. */
#ifndef EXPUNGE_JOBS_NOTICES_H
#define EXPUNGE_JOBS_NOTICES_H

#include <stdint.h>

#include "jobs/job.h"

struct notices {
	int64_t sent, bounced, given_up, failed, waiting;
	bool down, bad; /* bad: somebody has to look */
};

/* Sends what is due over job->db, with its words in the log and progress on a terminal. Without a mail server it says how many
 * wait. -1: it could not be tried. */
int notices_send(struct job *job, struct notices *ret, struct err *err);
/* Puts the notice that a run ended badly; then sends what waits. Failures are logged only: *exit_code 0 becomes 3. */
void notices_end_run(struct job *job, const char *run, int *exit_code);

#endif
