/*
 * sending: archives that have their names in directories go to the destinations that are commands. Until one has been taken,
 * the catalogue says that it is on its way (`sending`), which claims nothing; killed or failed, the next backup of the tenant
 * sends it again, the latest first.
 */
#ifndef EXPUNGE_ARCHIVE_SENDING_H
#define EXPUNGE_ARCHIVE_SENDING_H

#include "archive/backup.h"

/* The commands of the configuration, as an array. */
void sending_names(const struct config *config, struct str *array);

/* Everything of a tenant that is on its way; the caller has the lock of the tenant's backups, and no keys. A command that fails
 * is told in `result`, and not asked again for this tenant. -1: the catalogue could not be read or written. */
int sending_run(const struct backup *backup, const char *tenant, struct backup_result *result, struct err *err);

#endif
