/* adopt: restore --adopt, a whole job of its own. */
#ifndef EXPUNGE_JOBS_ADOPT_H
#define EXPUNGE_JOBS_ADOPT_H

#include "jobs/job.h"

int adopt_run(struct job *job, struct err *err);

#endif
