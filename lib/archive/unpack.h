/* unpack: the files of an archive into a directory of one's own, below a directory for each kind. */
#ifndef EXPUNGE_ARCHIVE_UNPACK_H
#define EXPUNGE_ARCHIVE_UNPACK_H

#include <dirent.h>

#include "archive/leaf_keys.h"
#include "archive/read.h"

struct unpack_result {
	int64_t files;   /* written */
	int64_t missing; /* that were not there when the archive was made; one of two owners counts twice */
};

/* A directory that is one restore's alone while this is held. */
struct unpack_place {
	DIR *there;     /* locked */
	bool made_here; /* it was not there before */
};

/* The directory is made, or is there and empty. ERR_LOCKED: another restore has it. unpack_release() also after a failure. */
int unpack_prepare(const char *directory, struct unpack_place *ret, struct err *err);
void unpack_release(struct unpack_place *place);
/* number: of the archive's table FILL_DOCUMENTS. All of it is durable when this returns 0. */
int unpack_files(struct archive *archive, uint32_t number, const struct leaf_keys *leaves, const char *directory,
	struct unpack_result *ret, struct err *err);

/* After a failure: takes away what lies in the directory, which unpack_prepare() found new or empty; itself, too, if that
 * made it. -1 names the directory: files are left there in clear. */
int unpack_undo(const char *directory, const struct unpack_place *place, struct err *err);

#endif
