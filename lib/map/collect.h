/*
 * collect: fills a key set with every row that a subject owns, owners first.
 *
 * Locked collection is what makes a plan final: every row is locked FOR UPDATE, so that none can move to
 * another subject, and before what refers to it is collected by a later statement with a newer snapshot,
 * so that none can join the set through a foreign key (an insert needs FOR KEY SHARE on its parent).
 * Needs READ COMMITTED. Tables without a foreign key have no such protection: the recount sees them.
 */
#ifndef EXPUNGE_MAP_COLLECT_H
#define EXPUNGE_MAP_COLLECT_H

#include "map/program.h"

enum collect_set {
	COLLECT_PLAN,   /* expunge.key_set, no locks */
	COLLECT_LOCKED, /* expunge.key_set, rows locked */
	COLLECT_CONTROL, /* expunge.control_set, from subjects already in it */
	COLLECT_SEAL, /* pg_temp.seal_set, from the owners in pg_temp.seal_owner: see collect_seal_tables */
	COLLECT_CROOKED /* the same, but of straight tables (straight.h), which can be joined to their owners, nothing */
};

/* Makes the session's own tables for COLLECT_SEAL, so that whoever only reads writes nothing into the control schema. The
 * caller fills seal_owner (id bigint, tenant text, subject text), and requests are its ids (bigint[]). One whose duplicate
 * was merged is not followed: each row of the subject's table is an owner of its own. */
int collect_seal_tables(struct db *db, struct err *err);

/* Collects for the requests (uuid[] text, "{...}") and marks rows with `round`. In a transaction of
 * the removing connection. */
int collect_subjects(const struct program *program, struct db *db, enum collect_set set, const char *requests,
	int round, struct err *err);
/* Collects again into tables that the removal may have created rows in; *ret_rows: how many were new. */
int collect_created(const struct program *program, struct db *db, const char *requests, int round,
	int64_t *ret_rows, struct err *err);
/* The same for one table only, once. */
int collect_table(const struct program *program, struct db *db, enum collect_set set, int table,
	const char *requests, int round, int64_t *ret_rows, struct err *err);

#endif
