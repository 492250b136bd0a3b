/* handover_private: what the files of handover share. */
#ifndef EXPUNGE_ARCHIVE_HANDOVER_PRIVATE_H
#define EXPUNGE_ARCHIVE_HANDOVER_PRIVATE_H

#include <stdio.h>

#include "archive/fill_private.h"
#include "archive/handover.h"
#include "archive/unpack.h"

/* A handover on its way. */
struct handing {
	const struct handover *handover;
	struct handover_result *result;
	struct unpack_place place; /* the directory, locked */
	struct fill fill;          /* names its rows; writes nothing */
	FILE *sums;
	int64_t *rows; /* of each table of the map */
};

/* A file of the handover, opened for writing at its end; NULL with err. A directory that its path needs is made. */
FILE *handover_open(struct handing *handing, const char *path, struct err *err);
/* Closes it; -1 when any of it was not written. */
int handover_close(struct handing *handing, FILE *file, const char *path, struct err *err);
/* Enters a file that is complete in SHA256SUMS. */
int handover_sum(struct handing *handing, const char *path, struct err *err);
/* Counts rows for whoever watches; -1 when the run was asked to stop. */
int handover_count(struct handing *handing, int64_t rows, struct err *err);

/* The patients of the owners at hand, a file each. */
int handover_patients(struct handing *handing, struct err *err);
/* Large objects and documents of the owners at hand, or, owner > 0, documents of the tenant's own tables. */
int handover_objects(struct handing *handing, struct err *err);
int handover_documents(struct handing *handing, int64_t owner, struct err *err);

#endif
