/*
 * repair: an archive that is bad in one destination, or not there at all, is copied from where it is good. Nothing is sealed
 * anew: the copy has the same bytes, and is read back before it takes its name, and the key journal there knows its keys first.
 * A command is not given it here: the catalogue says that it is to be sent again, and the next backup does that.
 */
#ifndef EXPUNGE_ARCHIVE_REPAIR_H
#define EXPUNGE_ARCHIVE_REPAIR_H

#include "archive/backup.h"

/* One archive whose copies have been read. Lists have a line for each destination. */
struct repair {
	const struct backup *backup;
	struct backup_check *check;
	const char *tenant, *id;
	const uint8_t *id_bytes, *hash;
	uint64_t frames;
	int source; /* a good copy, or -1 */
	const char *intact; /* destinations whose own file is whole: what it refers to is not repaired with it, but as an archive itself */
	const char *listed, *sending;
};

/* Counts copies that are missing; 0. */
int repair_count(const struct repair *task);
/* generation_key NULL: its generation is shredded, and others refer to its file, wherever these are copied to: the file's bytes are
 * checked, and its index is nobody's to open. */
int repair_copies(const struct repair *task, const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err);

#endif
