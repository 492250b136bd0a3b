/* backup: what its files share. */
#ifndef EXPUNGE_JOBS_BACKUP_H
#define EXPUNGE_JOBS_BACKUP_H

#include "jobs/job.h"

/* backup --expire: the end of old archives, outside the night. */
int backup_expire(struct job *job, struct err *err);

#endif
