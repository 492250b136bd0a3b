/*
 * map: the data map, which says who owns each row and what becomes of it.
 *
 * map_read() parses (pure: no database); map_bind() resolves every name against the live catalogue.
 * After binding, `table` fields are indexes into map->tables, `cat` and column numbers are indexes
 * into the catalogue. The grammar is in doc/map.md.
 */
#ifndef EXPUNGE_MAP_MAP_H
#define EXPUNGE_MAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "map/catalog.h"

enum map_action {
	MAP_DELETE,    /* the subject's rows are deleted */
	MAP_MASK,      /* rows stay, listed columns are masked */
	MAP_TOMBSTONE, /* the row that cannot go is masked, placeholders unique per key */
	MAP_RETAIN,    /* rows stay by law, their reference to the subject is cut, listed columns masked */
	MAP_SHARED,    /* deleted with the last subject that owns them */
	MAP_TENANT,    /* the tenant's own rows, no subject's */
	MAP_REFERENCE, /* code lists */
	MAP_NONE       /* nothing to do, with a reason */
};
/* True for the first five: rows of these tables are collected for a subject. */
bool map_action_is_owned(enum map_action action);
const char *map_action_text(enum map_action action);

enum map_path_kind {
	MAP_FORWARD, /* "patient_id -> app.patient": columns of this table refer to the target */
	MAP_REVERSE, /* "pk <- bill.bill_item(fk_bill)": the target refers to this table */
	MAP_ARRAY    /* "any(patient_ids) -> app.patient" */
};

struct map_path {
	char *text; /* as written */
	enum map_path_kind kind;
	char **column_names; /* of this table */
	char *target_name;   /* "schema.table" */
	char **target_column_names; /* of the target; after binding never NULL (defaults: the target's key) */
	size_t n_columns;
	char *when_column_name, *when_value; /* "... when kind = 'patient'": a column of this table, compared as text; NULL without */
	/* bound */
	int target;  /* index into map->tables */
	int *columns, *target_columns; /* catalogue column indexes */
	int when_column;
	bool nullable; /* forward: one of the columns may be NULL */
};

struct map_column {
	char *name;
	char *mask; /* "null", "empty", "keep" or template text that may contain {key}; NULL: the table's action */
	bool identifying;
	bool lo; /* holds the oid of a large object that goes with the row */
	char *documents; /* holds the path of a file that goes with the row, in the directory of this kind of documents; or NULL */
	int line;
	int column; /* bound */
};

struct map_names {
	char **names;
	size_t n;
};

struct map_table {
	char *name; /* "schema.table" */
	int line;
	enum map_action action;
	char *class; /* retention class, "" when none */
	char *reason;
	char *created; /* column with the time of the row's creation, or NULL */
	struct map_names key; /* override of the primary key; for log tables: see log_key */
	struct map_path *paths;
	size_t n_paths;
	struct map_column *columns;
	size_t n_columns;
	struct map_names before, after, creates; /* table names */
	char *log_of; /* table name, or NULL */
	struct map_names log_key; /* its columns that hold the key of log_of; default: same names */
	struct map_names mentions;    /* free-text columns searched for identifying values */
	struct map_names acknowledge; /* DELETE rules and triggers, deferred triggers looked at */
	/* bound */
	int cat;
	int *key_columns; /* override, primary key, or unique index; n_key_columns 0: no key, rows are counted by path */
	size_t n_key_columns;
	int created_column; /* -1 without */
	int log_table;      /* index into map->tables, or -1 */
	int *log_columns;   /* as many as the key columns of log_of; also an owner path, the last of paths */
	int *before_tables, *after_tables, *creates_tables;
	int *mention_columns;
};

struct map_disable {
	char *table, *rule, *trigger, *reason; /* rule or trigger, the other NULL */
	int line;
	int cat; /* bound */
};

/* A store outside the database that is told of an erasure: a program, run without a shell. */
struct map_external {
	char *name;
	char *owner;              /* who answers for it: a post or a firm, for people to ask */
	struct map_names command; /* absolute path, then arguments that may hold {tenant}, {subject} and {request} */
	struct map_names account; /* the same for a whole account, without {subject}; empty: a person tells the store */
	int64_t timeout_seconds;
	int line;
};

/* Rows that show that a practice has used a patient that the support staff made. */
struct map_contact {
	char *name; /* "schema.table"; of the subject's own table: that its row was changed */
	char *by;   /* column that names who wrote the row: one of the session's staff, or the session, wrote no contact; NULL: every row is one */
	int line;
	int table, by_column; /* bound; by_column -1 without */
};

struct map {
	char *path; /* the file, for messages */
	char hash[72]; /* "sha256:..." of the file's bytes */
	/* tenant */
	char *tenant_table, *tenant_key; /* or */
	char *tenant_constant;
	/* subject */
	char *subject_table, *subject_key, *subject_tenant, *subject_merged_into;
	struct map_names subject_birth;
	/* session */
	char *login;
	bool read_write;
	bool constraints_immediate;      /* SET CONSTRAINTS ALL IMMEDIATE before the first delete */
	struct map_names constraints;    /* or these only */
	struct map_names search_path;    /* schemas that the removing transaction looks up names in, behind pg_catalog */
	struct map_names acknowledge;    /* rules and triggers of these names are acknowledged on any table */
	struct map_disable *disable;
	size_t n_disable;
	struct map_table *tables;
	size_t n_tables;
	struct map_external *externals;
	size_t n_externals;
	int support_line; /* 0: no group support, and no patient is a test patient */
	struct map_contact *contacts;
	size_t n_contacts;
	struct map_names harmless; /* owned tables whose rows the application makes by itself */
	/* bound */
	const struct catalog *catalog;
	int subject; /* index into tables */
	int subject_key_column, subject_tenant_column, subject_merged_column; /* -1 without */
	int *subject_birth_columns;
};

/* Parses a file. All errors at once into `problems` ("file:line: reason, remedy"); ERR_USAGE. */
int map_read(struct map **ret, const char *path, struct str *problems, struct err *err);
/* The same from text, for tests and fuzzing; `path` names it in messages. */
int map_read_text(struct map **ret, const char *text, const char *path, struct str *problems, struct err *err);
/* Parses one owner path into *ret (zeroed by the callee). Pure. */
int map_path_parse(struct map_path *ret, const char *text, struct err *err);
void map_path_release(struct map_path *path);
/* A copy of one argument with its placeholders replaced; the caller frees. NULL when it holds a word in
 * braces that is none. Pure. */
char *map_external_argument(const char *argument, const char *tenant, const char *subject, const char *request);
void map_free(struct map *map);
void map_freep(struct map **map);
/* Resolves names. Missing tables, columns, unfit types: all at once into `problems`, ERR_USAGE.
 * The catalogue must outlive the map. Unclassified tables and columns are map_check's business. */
int map_bind(struct map *map, const struct catalog *catalog, struct str *problems, struct err *err);
/* Index of a mapped table by name, or -1. */
int map_table(const struct map *map, const char *name);
/* Of a bound map: index into map->tables by index into the catalogue, -1 for tables without a line.
 * A partition's line is that of its root. The caller frees. */
int *map_lines(const struct map *map);
/* The contact of a table, by index into map->tables, or NULL. */
const struct map_contact *map_contact(const struct map *map, int table);
/* The line of `columns` for a catalogue column, or NULL. */
const struct map_column *map_column(const struct map_table *table, int column);
/* True when rows of this table are gone after a removal (delete, shared), false when they stay. */
bool map_action_removes(enum map_action action);

#endif
