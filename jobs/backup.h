/* backup: what its files share. */
#ifndef EXPUNGE_JOBS_BACKUP_H
#define EXPUNGE_JOBS_BACKUP_H

#include "archive/backup_all.h"
#include "erasure/ledger.h"
#include "jobs/job.h"
#include "map/program.h"

/* What a worker has of its own; the first one's are the session's. */
struct backup_worker {
	struct db *keys_db; /* NULL: the job's */
	struct keys keys;
	struct ledger *ledger;
};

struct backup_session {
	struct job *job;
	struct map *map;
	struct catalog *catalog;
	char schema_version[CATALOG_VERSION_SIZE]; /* before the catalogue was read */
	struct program *program;
	struct backup workers[BACKUP_WORKERS_MAX];
	struct backup_worker own[BACKUP_WORKERS_MAX];
	size_t n_workers;
	int64_t rows;
	int64_t n_done, n_failed, n_locked, n_incomplete;
};

/* Opens map, keys and ledger, and the first worker's connections. One session at a time. */
int backup_session_open(struct backup_session *s, struct job *job, struct err *err);
/* As many workers more as the configuration allows for so many tenants. */
int backup_session_grow(struct backup_session *s, size_t n_tenants, struct err *err);
void backup_session_release(struct backup_session *s);

/* backup --expire: the end of old archives, outside the night. */
int backup_expire(struct job *job, struct err *err);

#endif
