/* fill_private: what the files of fill share. */
#ifndef EXPUNGE_ARCHIVE_FILL_PRIVATE_H
#define EXPUNGE_ARCHIVE_FILL_PRIVATE_H

#include "archive/fill.h"

#define FILL_NOT_THERE UINT32_MAX /* a table that the archive does not have */

/* A subject whose rows are coming. */
struct fill_owner {
	const char *subject;
	size_t n;
	int64_t leaf; /* 0: shredded */
};

int fill_by_leaf(const void *a, const void *b);    /* struct leaf */
int fill_by_subject(const void *a, const void *b); /* struct fill_owner */
/* What is in the buffer, a frame for each owner; the buffer is empty then. */
int fill_flush(struct fill *fill, struct err *err);

static inline bool
fill_is_tenants(const struct program *program, size_t table)
{
	return program->map->tables[table].action == MAP_TENANT;
}
bool fill_all_straight(const struct program *program);

/* ", t.a, t.b": every column that is not generated. */
void fill_add_columns(struct str *sql, const struct program *program, size_t table);
/* Rows of this table of the archive into the buffer, each behind its owner. */
int fill_copy(struct fill *fill, uint32_t table, const char *sql, struct err *err);
int fill_empty_tables(struct db *db, struct err *err);
/* Everything that is owned, for the owners at hand; and what nobody owns, as this leaf's. */
int fill_copy_owned(struct fill *fill, struct err *err);
int fill_copy_unowned(struct fill *fill, int64_t leaf, struct err *err);

/* A row of the table fill->table, or a piece of one, into the buffer. */
int fill_keep_row(struct fill *fill, int64_t leaf, const char *text, size_t n, struct err *err);
/* Counts a row for whoever watches; -1 when the run was asked to stop. */
int fill_count_row(struct fill *fill, struct err *err);
/* " FROM the set k JOIN the table t WHERE k.table_id ..." */
void fill_add_set(struct str *sql, const struct program *program, size_t table, const char *join);
/* Of the tenant's own tables, " FROM t WHERE ..." its rows, or those of which no tenant can be told; false: none of them are
 * this tenant's. */
bool fill_add_own(struct str *sql, const struct fill *fill, size_t table);

/* "SELECT owner, oid ..." of every column that holds a large object, for rows of the set, joined by UNION; nothing when there
 * is no such column. */
void fill_add_held(struct str *sql, const struct program *program);
/* The set becomes what belongs to no subject of any tenant, as this leaf's. */
int fill_collect_unowned(struct fill *fill, int64_t leaf, struct err *err);
/* "SELECT owner, kind, path, table ..." of every column that names documents, of the set, or, leaf > 0, of the tenant's own
 * tables; joined by UNION ALL, nothing when there is no such column. */
void fill_add_named(struct str *sql, const struct fill *fill, int64_t leaf);

/* Tells the writer of the table of files, if the map names any. */
int fill_documents_table(struct fill *fill, struct err *err);
/* The files that rows of the set name, or, own, rows of the tenant's own tables, for this leaf. */
int fill_documents(struct fill *fill, struct err *err);
int fill_own_documents(struct fill *fill, int64_t leaf, struct err *err);

#endif
