/* unpack: the files of an archive into a directory of one's own, below a directory for each kind. */
#ifndef EXPUNGE_ARCHIVE_UNPACK_H
#define EXPUNGE_ARCHIVE_UNPACK_H

#include "archive/leaf_keys.h"
#include "archive/read.h"

struct unpack_result {
	int64_t files;   /* written */
	int64_t missing; /* that were not there when the archive was made; one of two owners counts twice */
};

/* The directory is made (*ret_made), or is there and empty. */
int unpack_prepare(const char *directory, bool *ret_made, struct err *err);
/* number: of the archive's table FILL_DOCUMENTS. All of it is durable when this returns 0. */
int unpack_files(struct archive *archive, uint32_t number, const struct leaf_keys *leaves, const char *directory,
	struct unpack_result *ret, struct err *err);

/* After a failure: takes away what lies in the directory, which unpack_prepare() found new or empty; itself, too, if made_here. -1 names
 * the directory: files are left there in clear. */
int unpack_undo(const char *directory, bool made_here, struct err *err);

#endif
