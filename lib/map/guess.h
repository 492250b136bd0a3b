/*
 * guess: what names and types suggest of a table, for map_discover(). Every answer is a guess that
 * a person has to confirm; nothing else relies on them. Pure.
 */
#ifndef EXPUNGE_MAP_GUESS_H
#define EXPUNGE_MAP_GUESS_H

#include "map/catalog.h"

/* The table that looks most like the subjects', by name and by the foreign keys to it, or -1. */
int guess_subject(const struct catalog *catalog);
/* The table that looks like the tenants': the subject's table refers to it. -1: none. */
int guess_tenant(const struct catalog *catalog, int subject);
/* Staff, users: rows about people who are no subjects, however many tables refer to them. */
bool guess_is_staff(const struct cat_table *table);
/* The table whose old rows this one keeps, or -1. */
int guess_logged(const struct catalog *catalog, int table);
/* The column with the time of creation, or -1. */
int guess_created(const struct cat_table *table);
/* The column whose name says that it refers to the subject although no foreign key does, or -1. */
int guess_reference(const struct cat_table *table, const struct cat_table *subject);
/* A pair such as ref_type and ref_id, whose rows may be about the subject: the index of ref_id, and
 * that of ref_type in *ret_type; or -1. */
int guess_polymorphic(const struct cat_table *table, int *ret_type);
bool guess_is_identifying(const struct cat_column *column);
bool guess_is_large_object(const struct cat_column *column);
/* By its name it holds the path of a file outside the database. */
bool guess_is_file_name(const struct cat_column *column);
bool guess_is_free_text(const struct cat_column *column);
/* "financial" for invoices and the like, whose rows law may keep; NULL. */
const char *guess_class(const struct cat_table *table);

#endif
