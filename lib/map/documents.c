#include "map/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"
#include "sys/file.h"
#include "sys/place.h"

#define MARK_MAX 200

bool
documents_are_named(const struct map *map)
{
	for (size_t i = 0; i < map->n_tables; i++)
		for (size_t c = 0; c < map->tables[i].n_columns; c++)
			if (map->tables[i].columns[c].documents != NULL)
				return true;
	return false;
}

/* ---- places ------------------------------------------------------------------------------------- */

void
documents_init(struct documents *documents, const struct config *config, const char *instance)
{
	*documents = (struct documents){ .config = config };
	(void)snprintf(documents->instance, sizeof(documents->instance), "%s", instance);
}

void
documents_release(struct documents *documents)
{
	for (size_t i = 0; i < documents->n; i++) {
		beneath_close(documents->items[i].beneath);
		free(documents->items[i].kind);
	}
	free(documents->items);
	*documents = (struct documents){ 0 };
}

/* NULL for a kind that is not declared. */
static const char *
directory_of(const struct config *config, const char *kind)
{
	const struct conf_node *list = config_list(config, SET_DOCUMENTS);

	for (size_t i = 0; list != NULL && i < conf_count(list); i++)
		if (strcmp(conf_text(conf_member(conf_at(list, i), "name")), kind) == 0)
			return conf_text(conf_member(conf_at(list, i), "directory"));
	return NULL;
}

static char *
mark_text(const char *instance, const char *kind)
{
	return mem_printf("expunge-documents/v1\ninstance %s\nkind %s\n", instance, kind);
}

/* *ret_there: some mark is there; -1 unless it is ours. */
static int
check_mark(const char *directory, const char *instance, const char *kind, bool *ret_there, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(directory, DOCUMENTS_MARK);
	CLEANUP(free_text) char *wanted = mark_text(instance, kind);
	CLEANUP(free_text) char *found = NULL;

	*ret_there = file_exists(path);
	if (!*ret_there) {
		(void)err_set(err, ERR_REFUSED, "documents %s: %s is missing: this is not the directory that it was, or its disk is not "
			"mounted", kind, path);
		return err_hint(err, "mount the disk; expunge init marks a directory that is declared for the first time");
	}
	if (file_read(path, MARK_MAX, &found, NULL, err) != 0)
		return -1;
	if (strcmp(found, wanted) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "documents %s: %s is the mark of another installation, or of other documents", kind, path);
	return err_hint(err, "correct `documents` in the configuration: these may be somebody else's files");
}

/* What a row could name, and have erased, if it lay there. */
static int
refuse_own(const char *kind, const char *real, const char *what, const char *path, struct err *err)
{
	CLEANUP(free_text) char *own = place_resolve(path);

	if (!place_contains(real, own))
		return 0;
	(void)err_set(err, ERR_REFUSED, "documents %s: %s holds %s (%s)", kind, real, path, what);
	return err_hint(err, "documents need a directory of their own: whoever writes a path into a row must not name our files");
}

/* Nothing of ours lies among documents, and no documents of another kind, by way of a link: a file has one kind. */
static int
check_apart(const struct config *config, const char *kind, const char *directory, struct err *err)
{
	CLEANUP(free_text) char *real = place_resolve(directory);
	const struct conf_node *places = config_list(config, SET_ARCHIVES_DESTINATIONS), *shares = config_list(config, SET_KEYS_SHARES);
	const struct conf_node *kinds = config_list(config, SET_DOCUMENTS);

	if (refuse_own(kind, real, "the configuration", config_path(config), err) != 0)
		return -1;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (config_settings()[i].type == SETTING_PATH &&
		    refuse_own(kind, real, config_settings()[i].name, config_text(config, (enum setting_id)i), err) != 0)
			return -1;
	for (size_t i = 0; places != NULL && i < conf_count(places); i++) {
		const char *place = conf_text(conf_member(conf_at(places, i), "directory"));

		/* NULL: a command */
		if (place != NULL && refuse_own(kind, real, "a destination", place, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < conf_count(kinds); i++)
		if (strcmp(conf_text(conf_member(conf_at(kinds, i), "name")), kind) != 0 &&
		    refuse_own(kind, real, "other documents", conf_text(conf_member(conf_at(kinds, i), "directory")), err) != 0)
			return -1;
	for (size_t i = 0; shares != NULL && i < conf_count(shares); i++) {
		const struct conf_node *replicas = conf_member(conf_at(shares, i), "replicas");

		for (size_t k = 0; k < conf_count(replicas); k++)
			if (refuse_own(kind, real, "a share", conf_text(conf_at(replicas, k)), err) != 0)
				return -1;
	}
	return 0;
}

int
documents_find(struct documents *documents, const char *kind, struct beneath **ret, struct err *err)
{
	const char *directory = directory_of(documents->config, kind);
	struct documents_place *place;
	struct beneath *beneath;
	bool there;

	for (size_t i = 0; i < documents->n; i++)
		if (strcmp(documents->items[i].kind, kind) == 0) {
			*ret = documents->items[i].beneath;
			return 0;
		}
	if (directory != NULL && check_apart(documents->config, kind, directory, err) != 0)
		return -1;
	if (directory == NULL) {
		(void)err_set(err, ERR_REFUSED, "documents %s: the configuration declares no directory for them", kind);
		return err_hint(err, "add { name = \"%s\"; directory = \"/...\"; } to `documents`, then run expunge init", kind);
	}
	if (beneath_open(&beneath, directory, err) != 0) {
		err->code = ERR_REFUSED;
		return err_prefix(err, "documents %s", kind);
	}
	if (check_mark(directory, documents->instance, kind, &there, err) != 0) {
		beneath_close(beneath);
		return -1;
	}
	place = MEM_PUSH(documents->items, documents->n);
	*place = (struct documents_place){ mem_copy(kind), beneath };
	*ret = beneath;
	return 0;
}

static int
check_kind(struct documents *documents, const char *kind, struct err *err)
{
	CLEANUP(free_text) char *inside = NULL;
	struct beneath *unused;

	if (documents_find(documents, kind, &unused, err) != 0)
		return -1;
	inside = file_join(directory_of(documents->config, kind), ".");
	if (access(inside, W_OK | X_OK) == 0)
		return 0;
	(void)err_sys(err, "documents %s: %s cannot be written to", kind, directory_of(documents->config, kind));
	err->code = ERR_REFUSED;
	return err_hint(err, "let this user write to it and to the directories in it: erasing a file takes its name out of one");
}

int
documents_check(const struct map *map, const struct config *config, const char *instance, size_t *ret_n, struct err *err)
{
	CLEANUP(documents_release) struct documents documents = { 0 };

	documents_init(&documents, config, instance);
	for (size_t i = 0; i < map->n_tables; i++)
		for (size_t c = 0; c < map->tables[i].n_columns; c++) {
			const char *kind = map->tables[i].columns[c].documents;

			if (kind != NULL && check_kind(&documents, kind, err) != 0)
				return -1;
		}
	*ret_n = documents.n;
	return 0;
}

/* In a directory that is not the one they lie in, they would look as if they had been taken away. */
static int
refuse_pending(struct db *db, const char *kind, const char *directory, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *pending = NULL;
	char via[16];

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_DOCUMENT);
	if (db_query(db, &QUERY_DOCUMENT_PENDING, DB_PARAMS(kind, via), &pending, err) != 0)
		return -1;
	if (!db_get_bool(pending, 0, 0))
		return 0;
	(void)err_set(err, ERR_REFUSED, "documents %s: %s has no mark, and files of removed rows are still to be taken away", kind, directory);
	return err_hint(err, "bring the directory that they lie in, with its mark " DOCUMENTS_MARK);
}

/* A directory gets its mark once. What a later run of `init` finds without one may be the place where a disk is missing; the
 * state directory remembers. */
static int
mark(const struct config *config, struct db *db, const char *instance, const char *kind, const char *directory, struct err *err)
{
	CLEANUP(free_text) char *name = mem_printf("documents-%s", kind);
	CLEANUP(free_text) char *memory = file_join(config_text(config, SET_STATE_DIRECTORY), name);
	CLEANUP(free_text) char *path = file_join(directory, DOCUMENTS_MARK);
	CLEANUP(free_text) char *text = mark_text(instance, kind);
	struct err why = { 0 };
	bool there = false;

	if (check_mark(directory, instance, kind, &there, &why) != 0 && (there || file_exists(memory))) {
		*err = why;
		return there ? -1 : err_hint(err, "mount the disk; if this is a new directory, with the files in it, remove %s first", memory);
	}
	if (!there && refuse_pending(db, kind, directory, err) != 0)
		return -1;
	if (!there && file_write(path, text, strlen(text), 0644, true, err) != 0)
		return err_hint(err, "make the directory first, on the disk that is meant, and let this user write to it");
	return file_exists(memory) ? 0 : file_write(memory, text, strlen(text), 0644, true, err);
}

int
documents_mark(const struct config *config, struct db *db, const char *instance, struct err *err)
{
	const struct conf_node *list = config_list(config, SET_DOCUMENTS);

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		const struct conf_node *one = conf_at(list, i);

		if (mark(config, db, instance, conf_text(conf_member(one, "name")), conf_text(conf_member(one, "directory")), err) != 0)
			return -1;
	}
	return 0;
}

/* ---- who names a file --------------------------------------------------------------------------- */

/* Rows (request, path): files of the set k that rows x of a table name: by the same path, or, `odd`, by one that is not written
 * as it must be (a double slash, a dot, from the root) and ends in the same name: it may well lead to the same file. */
static void
add_named(struct str *sql, const struct program *program, int table, size_t column_line, const char *where, bool odd)
{
	const struct map_column *line = &program->map->tables[table].columns[column_line];
	const char *column = program_cat(program, table)->columns[line->column].quoted;

	str_add(sql, "SELECT k.request_id, k.key[2] FROM expunge.key_set k JOIN ");
	sql_from(sql, program, table, "x");
	if (odd)
		str_addf(sql, " ON x.%s::text ~ '(^|/)\\.{0,2}(/|$)' AND regexp_replace(x.%s::text, '^.*/', '') = "
			"regexp_replace(k.key[2], '^.*/', '')", column, column);
	else
		str_addf(sql, " ON x.%s::text = k.key[2]", column);
	str_addf(sql, " WHERE k.via >= %d AND k.key[1] = '%s' AND %s", PROGRAM_VIA_DOCUMENT, line->documents, where);
}

static void
add_both(struct str *sql, const struct program *program, int table, size_t column_line, const char *where)
{
	str_add(sql, "SELECT n.request_id, count(*) FROM (");
	add_named(sql, program, table, column_line, where, false);
	str_add(sql, " UNION ");
	add_named(sql, program, table, column_line, where, true);
	str_add(sql, ") n GROUP BY 1 ORDER BY 1");
}

void
sql_document_shared(struct str *sql, const struct program *program, int table, size_t column_line)
{
	CLEANUP(str_release) struct str where = STR_INIT;

	str_add(&where, "k.request_id = ANY($1) AND k.round = $2::smallint");
	/* the rows that go do not count, if they let go of it */
	if (program_document_goes(program, table, (int)column_line)) {
		str_addf(&where, " AND NOT EXISTS (SELECT FROM expunge.key_set o WHERE o.request_id = k.request_id AND o.table_id = %d"
			" AND o.via = 0 AND o.key = ", program->tables[table].id);
		sql_key(&where, program, table, 0, "x");
		str_add(&where, ")");
	}
	add_both(sql, program, table, column_line, where.s);
}

void
sql_document_named(struct str *sql, const struct program *program, int table, size_t column_line)
{
	add_both(sql, program, table, column_line, "k.request_id = ANY($1)");
}
