/* restore_private: what the files of restore share. */
#ifndef EXPUNGE_ARCHIVE_RESTORE_PRIVATE_H
#define EXPUNGE_ARCHIVE_RESTORE_PRIVATE_H

#include "archive/loading.h"
#include "archive/restore.h"

/* What one restore knows of the target. */
struct target {
	struct restore *restore;
	struct loading loading; /* by the archive's numbers */
	size_t n;
	struct unpack_place place; /* of the document files */
	struct restore_stream *streams; /* by number in the archive */
	size_t waiting; /* bytes in all of them */
};

/* Rows of one table on their way into it. */
struct restore_stream {
	bool wanted; /* document files have a way of their own */
	bool direct; /* into the table itself; else into one of the session, with the number of its owner's leaf in front: two
			owners may have the same row, or rows that these refer to come later */
	bool open;   /* its COPY is under way */
	bool in_row; /* a row has begun and not ended */
	char *text;  /* rows that wait for their turn */
	size_t n, room;
	int64_t rows, arrived; /* that were read; that the server says it has taken */
};

/* "a", "b" of the archive's table, each behind `prefix`, with the target's own quotes. */
void restore_add_columns(struct str *sql, const struct target *target, uint32_t number, const char *prefix);
/* What a target lacks, or has already. Returns -1. */
int restore_say_remedy(const char *table, struct err *err);

/* Which tables rows can go to directly. Before the others. */
int restore_streams(struct target *target, struct err *err);
/* Every row of the archive, in one pass, into its table or into that of the session. *ret: of what was opened. */
int restore_read(struct target *target, struct archive_tally *ret, struct err *err);
/* "pg_temp.expunge_restore_NUMBER": where rows of a table wait that is not direct. */
void restore_staged(uint32_t number, char ret[64]);
void restore_streams_release(struct target *target);

#endif
