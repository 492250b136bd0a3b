/*
 * backup_all: many tenants, several at a time, each as backup_tenant does it. Workers share nothing but the list: each has
 * connections and keys of its own. Takes, for each of them, what one backup takes.
 */
#ifndef EXPUNGE_ARCHIVE_BACKUP_ALL_H
#define EXPUNGE_ARCHIVE_BACKUP_ALL_H

#include "archive/backup.h"

#define BACKUP_WORKERS_MAX 16 /* archives.workers */

struct backup_all {
	const struct backup *workers;
	size_t n_workers; /* 1 to BACKUP_WORKERS_MAX */
	const char *const *tenants;
	size_t n;
	/* What became of a tenant; one call at a time. why: NULL, or the error that left it without an archive; -1 with err: no
	 * other tenant is begun, and backup_all() fails. */
	int (*ended)(void *ctx, const struct backup *worker, const char *tenant, const struct backup_result *result,
		const struct err *why, struct err *err);
	void *ctx;
};

/* Every tenant's turn comes, whatever becomes of the others, until ended() fails or stop() says so. */
int backup_all(const struct backup_all *all, struct err *err);

#endif
