/* init_support: what `init` does for support mode: its settings, and the function by which SQL looks at a subject's row. */
#ifndef EXPUNGE_JOBS_INIT_SUPPORT_H
#define EXPUNGE_JOBS_INIT_SUPPORT_H

#include "jobs/job.h"

/* In init's transaction, as a superuser. A map that does not fit the database yet is told, and no error: without the function
 * nobody can register a test subject. */
int init_support(const struct job *job, struct err *err);

#endif
