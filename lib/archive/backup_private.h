/* backup_private: what writing, verifying and expiring share. */
#ifndef EXPUNGE_ARCHIVE_BACKUP_PRIVATE_H
#define EXPUNGE_ARCHIVE_BACKUP_PRIVATE_H

#include "archive/backup.h"

/* Whether a name is among these, a line each. */
bool backup_is_listed(const char *name, const char *list);
/* Looks for an archive of this hash where it should be: names are those of destinations, a line each. What is not among
 * them is `failed` without a reason. */
void backup_find(struct destinations *places, const char *names, const uint8_t hash[SHA256_SIZE]);

#endif
