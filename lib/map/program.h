/*
 * program: a bound map turned into the pieces of SQL that plan, removal and seal are made of.
 *
 * Rows are known by their key in a key set (expunge.key_set, or expunge.control_set for the control
 * sample): `via` 0 is the table's key as text[] (tableoid and ctid where it has none, good inside
 * one transaction only), further vias are other column lists that something refers to, and from
 * PROGRAM_VIA_LO on the oids of large objects, from PROGRAM_VIA_DOCUMENT on document files: the word for
 * their kind, and the path. Names are quoted by the catalogue, values are
 * parameters: in every statement $1 is the uuid[] of requests and $2 the round (smallint).
 */
#ifndef EXPUNGE_MAP_PROGRAM_H
#define EXPUNGE_MAP_PROGRAM_H

#include "base/str.h"
#include "map/map.h"
#include "map/order.h"
#include "svc/db.h"

#define PROGRAM_VIA_LO 100
#define PROGRAM_VIA_DOCUMENT 2000 /* behind that of the last column that a table can have */

struct program_via {
	int *columns; /* catalogue column indexes */
	size_t n;     /* 0: a keyless table's key, or columns that are gone */
};

struct program_table {
	int id;        /* expunge.mapped_table */
	bool owned;    /* rows of it are collected */
	bool log;      /* a log_of table: its rows follow those of the logged table, and are not part of the hash */
	bool created;  /* removing elsewhere may create rows here; true of every log table */
	bool later;    /* of a whole account: rows that removing elsewhere creates here are the account's own, and have a turn of their own */
	bool removed;  /* action delete or shared: its rows go */
	bool updated;  /* action mask, tombstone or retain */
	bool keyless;
	bool straight; /* see map/straight.h */
	bool follows;  /* see map/follow.h: of a whole account; rows of it are not collected */
	struct program_via *vias; /* [0] is the key */
	size_t n_vias;
};

struct program {
	const struct map *map;
	const struct catalog *catalog;
	struct program_table *tables; /* as many as map->tables */
	struct map_order collect, remove;
	char schema_hash[72];
};

/* Registers table numbers in expunge.mapped_table; otherwise only composes. */
int program_make(struct program **ret, const struct map *map, struct db *db, struct err *err);
void program_free(struct program *program);
void program_freep(struct program **program);
/* Index into map->tables of a number of expunge.mapped_table, or -1. */
int program_table_by_id(const struct program *program, int id);
/* Index into map->tables of the owned table with this catalogue index, or -1. */
int program_owned(const struct program *program, int cat);
/* The catalogue's entry of a mapped table. */
const struct cat_table *program_cat(const struct program *program, int table);

/* The large object in this column line of the map goes with the erasure: its row does, or the column
 * is masked. */
bool program_lo_goes(const struct program *program, int table, int column_line);

/* So does the file that this column names, where it names documents. */
bool program_document_goes(const struct program *program, int table, int column_line);

/* " AND NOT EXISTS (a row of any table that holds the large object m.oid)" */
void sql_lo_unheld(struct str *sql, const struct program *program);

/* " AND NOT EXISTS (the row that the log row t is a copy of)": owner paths of a log table speak for
 * copies whose original has gone; while it lives, the original's own owner counts. */
void sql_orphan(struct str *sql, const struct program *program, int table, const char *alias);

/* ONLY "app"."note" t */
void sql_from(struct str *sql, const struct program *program, int table, const char *alias);
/* ARRAY[t.id::text] */
void sql_key(struct str *sql, const struct program *program, int table, int via, const char *alias);
/* t.id = k.key[1]::bigint */
void sql_match(struct str *sql, const struct program *program, int table, int via, const char *alias,
	const char *set_alias);
/* t.col = k.key[2]::type, for columns of any table that hold the values of a via of the target:
 * columns[i] holds target column target_columns[i]. */
void sql_refers(struct str *sql, const struct program *program, const struct cat_table *cat, const int *columns,
	int target, const int *target_columns, size_t n, const char *alias, const char *set_alias);
/* a.col = b.col, compared as text where the types have no operator (a polymorphic reference). */
void sql_equal(struct str *sql, const struct cat_column *a, const char *alias_a, const struct cat_column *b,
	const char *alias_b);
/* element::type = ANY(array): `element` is the text of a key in the target's column, `array` the
 * expression for an array column. */
void sql_in_array(struct str *sql, const struct cat_column *column, const struct cat_column *target, const char *array,
	const char *element);
/* " AND t.kind::text = 'patient'", or nothing for a path without "when". */
void sql_when(struct str *sql, const struct program *program, int table, const struct map_path *path, const char *alias);
/* A type as it may follow "::" without cutting values: no length modifier. */
void sql_type(struct str *sql, const char *type);
/* t.practice_id::text: whose a row of the subject's table is; the literal of the one tenant there is. */
void sql_tenant(struct str *sql, const struct program *program, const char *alias);
/* "EXISTS (a tenant of this reference)", or a comparison with the one tenant there is. */
void sql_is_tenant(struct str *sql, const struct program *program, const char *expression);
/* 'text' with quotes doubled (standard_conforming_strings is on). */
void sql_literal(struct str *sql, const char *text);
/* The number of the via of large objects in this column line of the map. */
int program_lo_via(const struct program *program, int table, size_t column_line);
/* The same for the files that it names. */
int program_document_via(const struct program *program, int table, size_t column_line);
/* The number of the via of `table` with these columns (in any order); 0 is the key; -1 none. */
int program_via(const struct program *program, int table, const int *columns, size_t n);

#endif
