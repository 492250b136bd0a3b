/* check_part: what the files of map_check() share. */
#ifndef EXPUNGE_MAP_CHECK_PART_H
#define EXPUNGE_MAP_CHECK_PART_H

#include "map/check.h"

struct checker {
	struct findings *findings;
	const struct map *map;
	const struct catalog *catalog;
	int *line; /* map_lines() */
};

/* Message and remedy are taken over. */
void findings_add(struct findings *findings, enum finding_level level, const char *code, const char *table,
	int line, char *message, char *remedy);
void check_error(struct checker *c, const char *code, const struct map_table *table, char *message, char *remedy);
void check_warn(struct checker *c, const char *code, const struct map_table *table, char *message, char *remedy);

/* A column of one of the table's owner paths, or of their "when". */
bool check_is_path_column(const struct map_table *table, int column);
/* A removal may empty this column, or masks it. */
bool check_lets_go(const struct checker *c, const struct map_table *table, int column);
/* Every column is classified, and rows that stay let go of rows that leave. */
void check_columns(struct checker *c, const struct map_table *table);
/* Code that runs when rows go is acknowledged. */
void check_triggers(struct checker *c);
void check_rules(struct checker *c);
/* The table's line or the session names this trigger, rule or foreign key. */
bool check_is_acknowledged(const struct checker *c, const struct map_table *table, const char *name);
/* Names that are acknowledged exist; line < 0: on any table. */
void check_stale(struct checker *c, const struct map_names *names, int line);
/* What only the server can say: privileges, row-level security, large objects, constraints. */
int check_session(struct checker *c, struct db *db, struct err *err);

#endif
