/*
 * catalog: what the live database says of its tables, read once per run from pg_catalog.
 * System schemas, temporary tables and our own schemas (expunge, expunge_api) are left out;
 * partitions are listed, with their root. Read by discover, check, bind and the plan.
 */
#ifndef EXPUNGE_MAP_CATALOG_H
#define EXPUNGE_MAP_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "svc/db.h"

#define CATALOG_VERSION_SIZE 64

struct cat_column {
	int number; /* attnum */
	char *name;
	char *quoted;  /* name as an identifier, quoted where needed by the server (quote_ident) */
	char *type;     /* without modifiers: may follow "::" and cuts nothing short */
	char *declared; /* with modifiers, "character varying(30)" */
	char *element;  /* element type of an array, else NULL */
	char category; /* pg_type.typcategory: 'S' text, 'N' number, 'D' date, ... */
	char element_category; /* the same of the element type */
	char *collation; /* quoted, with schema; NULL for the database's own or none */
	char *equals;    /* "OPERATOR(schema.=)" of a type that an extension brought; NULL: "=" */
	char *element_equals;
	bool not_null;
	bool generated; /* GENERATED ALWAYS AS (...) STORED */
	bool has_default;
	bool inherited; /* attinhcount > 0 and not attislocal */
};

struct cat_table {
	uint32_t oid;
	char *schema;
	char *name;
	char *full;    /* "schema.name", as written in the map: canonical form of map/name.h */
	char *quoted;  /* quote_ident(schema).quote_ident(name) */
	char *owner;   /* role that owns it */
	char kind;     /* 'r' ordinary, 'p' partitioned root, 'f' foreign table, 'm' materialized view */
	int root;      /* index of the topmost partitioned table for a partition, else -1 */
	int *parents;  /* indexes of inheritance parents (not partitioning) */
	size_t n_parents;
	int64_t rows;  /* pg_class.reltuples, -1 unknown */
	bool unlogged;
	struct cat_column *columns; /* in attnum order, dropped ones left out */
	size_t n_columns;
	int *key; /* column indexes of the primary key, or else of the smallest unique, not-null, non-partial, immediate index; none: n_key == 0 */
	size_t n_key;
};

struct cat_fk {
	uint32_t oid;
	char *name;
	int table;   /* the referencing table */
	int *columns;
	int target;  /* the referenced table */
	int *target_columns;
	size_t n_columns;
	char on_delete; /* 'a' no action, 'r' restrict, 'c' cascade, 'n' set null, 'd' set default */
	bool deferrable;
	bool indexed;   /* an index of the referencing table starts with its columns */
};

struct cat_trigger {
	int table;
	char *name;
	char *function;  /* schema.name */
	bool on_insert, on_update, on_delete, on_truncate;
	bool row_level;
	bool before;
	bool deferrable; /* constraint trigger that may be deferred */
	bool enabled;    /* fires in an ordinary session */
	char *digest;    /* of its definition and of its function's source */
};

struct cat_rule {
	int table;
	char *name;
	char event; /* '1' select '2' update '3' insert '4' delete, pg_rewrite.ev_type */
	bool instead;
	bool conditional; /* has a WHERE: ev_qual is not empty */
	bool enabled;
	char *digest; /* of its text */
};

/* A valid btree, hash or gin index that serves equality: not partial, or only WHERE its first
 * column IS NOT NULL. */
struct cat_index {
	int table;
	int *columns; /* -1 for an expression */
	size_t n_columns;
	bool gin;
	bool unique; /* immediate, not partial, no expression */
};

struct catalog {
	struct cat_table *tables;
	size_t n_tables;
	struct cat_fk *fks; /* one that a single partition has, or that refers to one, stands as its root's; inherited ones are left out */
	size_t n_fks;
	struct cat_trigger *triggers; /* internal ones (foreign keys) left out */
	size_t n_triggers;
	struct cat_rule *rules; /* _RETURN of views left out; materialised views are not tables */
	size_t n_rules;
	struct cat_index *indexes;
	size_t n_indexes;
};

int catalog_read(struct catalog **ret, struct db *db, struct err *err);
void catalog_free(struct catalog *catalog);
void catalog_freep(struct catalog **catalog);
/* Index of "schema.name", or -1. */
int catalog_table(const struct catalog *catalog, const char *full);
/* Index of a column of a table, or -1. */
int catalog_column(const struct cat_table *table, const char *name);
/* Some index starts with these columns, in any order (array: a gin index on the one column). */
bool catalog_is_indexed(const struct catalog *catalog, int table, const int *columns, size_t n, bool array);
/* Changes with every row of the system catalogues that the hash is made of, and now and then without; costs a hundredth. Nothing
 * that is written after this is missed by who asks again. */
int catalog_version(struct db *db, char ret[CATALOG_VERSION_SIZE], struct err *err);
/* "sha256:..." over every table, column, type, key, foreign key, trigger and rule, text[72]. Equal
 * schemas give equal hashes in any cluster (no oids, no statistics). */
int catalog_hash(const struct catalog *catalog, char *text, struct err *err);

#endif
