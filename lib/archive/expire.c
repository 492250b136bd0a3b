#include "archive/expire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/destination.h"
#include "archive/receiver.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/file.h"

/* columns of archive_generations */
enum { G_TENANT, G_LEAF, G_ID, G_CREATED, G_BACKUP };
/* columns of archive_attempts */
enum { A_LEAF, A_TENANT, A_NAME };
/* columns of archive_expired */
enum { E_ID, E_DESTINATIONS };

struct expiry_keep
expire_keep(const struct config *config)
{
	return (struct expiry_keep){ .hourly = config_int(config, SET_ARCHIVES_KEEP_HOURLY),
		.daily = config_int(config, SET_ARCHIVES_KEEP_DAILY), .weekly = config_int(config, SET_ARCHIVES_KEEP_WEEKLY),
		.monthly = config_int(config, SET_ARCHIVES_KEEP_MONTHLY) };
}

static void
release_items(struct expire_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(items[i].tenant);
		free(items[i].id);
	}
	free(items);
}

void
expire_release(struct expire *expire)
{
	release_items(expire->items, expire->n);
	free(expire->attempts);
	str_release(&expire->strangers);
	*expire = (struct expire){ 0 };
}

void
expire_removed_release(struct expire_removed *removed)
{
	str_release(&removed->failures);
	str_release(&removed->notes);
}

/* ---- which go ------------------------------------------------------------------------------------ */

/* One tenant's archives at a time. */
struct finding {
	struct expiry_keep keep;
	int64_t now;
	struct expire *expire;
	struct expire_item *items;
	struct expiry_row *rows;
	size_t n;
};

static void
finding_release(struct finding *finding)
{
	release_items(finding->items, finding->n);
	free(finding->rows);
}

static struct expire_item *
item_of(const struct finding *finding, int64_t leaf)
{
	for (size_t i = 0; i < finding->n; i++)
		if (finding->items[i].leaf == leaf)
			return &finding->items[i];
	return NULL;
}

static void
end_tenant(struct finding *finding)
{
	expiry_judge(&finding->keep, finding->rows, finding->n, finding->now);
	for (size_t i = 0; i < finding->n; i++)
		if (finding->rows[i].expires) {
			struct expire_item *item = item_of(finding, finding->rows[i].leaf);

			*MEM_PUSH(finding->expire->items, finding->expire->n) = *item;
			item->tenant = item->id = NULL;
		}
	finding_release(finding);
	finding->items = NULL;
	finding->rows = NULL;
	finding->n = 0;
}

static int
take_generation(void *ctx, const struct db_result *row, struct err *err)
{
	struct finding *finding = ctx;
	size_t n = finding->n;
	struct expiry_row *judged;
	struct expire_item *item;

	(void)err;
	if (n > 0 && strcmp(finding->items[0].tenant, db_get_text(row, 0, G_TENANT)) != 0) {
		end_tenant(finding);
		n = 0;
	}
	judged = MEM_PUSH(finding->rows, n);
	judged->leaf = db_get_int(row, 0, G_LEAF);
	judged->created = db_get_int(row, 0, G_CREATED);
	judged->is_backup = db_get_bool(row, 0, G_BACKUP);
	item = MEM_PUSH(finding->items, finding->n);
	item->leaf = judged->leaf;
	item->created = judged->created;
	item->tenant = mem_copy(db_get_text(row, 0, G_TENANT));
	item->id = mem_copy(db_get_text(row, 0, G_ID));
	return 0;
}

static int
find_generations(const struct keys *keys, struct db *db, struct expire *ret, struct err *err)
{
	CLEANUP(finding_release) struct finding finding = { .keep = expire_keep(keys->config), .now = clock_now(), .expire = ret };

	if (!expiry_has_rule(&finding.keep))
		return 0;
	if (db_each(db, QUERY_ARCHIVE_GENERATIONS.sql, 0, NULL, take_generation, &finding, err) != 0)
		return -1;
	end_tenant(&finding);
	return 0;
}

/* Of accounts that were dormant, whatever the rules for backups are. */
static int
find_given_up(struct db *db, struct expire *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;

	if (db_query(db, &QUERY_ARCHIVE_GIVEN_UP, NULL, &rows, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(rows); i++)
		*MEM_PUSH(ret->items, ret->n) = (struct expire_item){ .leaf = db_get_int(rows, i, G_LEAF), .tenant = mem_copy(db_get_text(rows, i, G_TENANT)),
			.id = mem_copy(db_get_text(rows, i, G_ID)), .created = db_get_int(rows, i, G_CREATED) };
	return 0;
}

/* Whether it is certain that no destination has a file of this archive. One that has is told. Commands cannot be asked, and
 * have none that the catalogue never had: it says so before they get a byte. */
static bool
has_no_file(const struct keys *keys, const char *id, struct str *strangers)
{
	bool certain = true;

	for (size_t i = 0; i < keys->n_journals; i++) {
		CLEANUP(free_text) char *folder = destination_folder(&keys->journals[i]);
		CLEANUP(free_text) char *path = mem_printf("%s/%s.archive", folder, id);

		if (!file_exists(folder)) {
			/* not mounted, perhaps */
			certain = false;
		} else if (file_exists(path)) {
			str_addf(strangers, "%s: %s is not in the catalogue, and its key is left alone\n", keys->journals[i].name, path);
			certain = false;
		}
	}
	return certain;
}

static int
find_attempts(const struct keys *keys, struct db *db, struct expire *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;

	if (db_query(db, &QUERY_ARCHIVE_ATTEMPTS, NULL, &rows, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(rows); i++) {
		const char *name = db_get_text(rows, i, A_NAME);
		uint8_t id[ARCHIVE_ID_SIZE];

		if (bytes_from_hex(name, id, sizeof(id)) == 0 && has_no_file(keys, name, &ret->strangers))
			*MEM_PUSH(ret->attempts, ret->n_attempts) = db_get_int(rows, i, A_LEAF);
	}
	return 0;
}

int
expire_find(const struct keys *keys, struct db *db, struct expire *ret, struct err *err)
{
	*ret = (struct expire){ 0 };
	return find_generations(keys, db, ret, err) != 0 || find_given_up(db, ret, err) != 0 ? -1 : find_attempts(keys, db, ret, err);
}

/* ---- files --------------------------------------------------------------------------------------- */

/* One destination. */
struct expire_place {
	const char *name;
	const struct receiver *receiver; /* a command; NULL: a directory */
	char *folder;
	int fd;          /* of the folder; -1: it is away */
	int64_t n_kept;  /* files that could not be removed */
	int64_t n_stay;  /* that it has no command for */
	struct str gone; /* archives of the page that is under way of which nothing is there, or nothing can be removed */
	struct err why;
};

struct removal {
	struct db *db;
	struct expire_place *places;
	size_t n;
	struct str names; /* of the destinations, as an array */
	struct expire_removed *result;
};

static void
removal_release(struct removal *removal)
{
	for (size_t i = 0; i < removal->n; i++) {
		if (removal->places[i].fd >= 0)
			(void)close(removal->places[i].fd);
		free(removal->places[i].folder);
		str_release(&removal->places[i].gone);
	}
	free(removal->places);
	str_release(&removal->names);
}

static void
open_places(struct removal *removal, const struct keys *keys)
{
	const struct receiver *receiver;

	for (size_t i = 0; i < keys->n_journals; i++) {
		struct expire_place *place = MEM_PUSH(removal->places, removal->n);

		place->name = keys->journals[i].name;
		place->folder = destination_folder(&keys->journals[i]);
		place->fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (place->fd < 0)
			(void)err_sys(&place->why, "opening directory %s", place->folder);
	}
	for (size_t i = 0; (receiver = receiver_at(keys->config, i)) != NULL; i++) {
		struct expire_place *place = MEM_PUSH(removal->places, removal->n);

		*place = (struct expire_place){ .name = receiver_name(receiver), .receiver = receiver, .fd = -1 };
	}
	for (size_t i = 0; i < removal->n; i++)
		array_add(&removal->names, removal->places[i].name);
	(void)array_end(&removal->names);
}

static bool
remove_file(struct expire_place *place, const char *id, int64_t *ret_removed)
{
	CLEANUP(free_text) char *file = mem_printf("%s.archive", id);

	if (place->fd >= 0 && unlinkat(place->fd, file, 0) == 0) {
		++*ret_removed;
		return true;
	}
	if (place->fd >= 0 && errno == ENOENT)
		return true;
	if (place->why.code == ERR_NONE)
		(void)err_sys(&place->why, "removing %s/%s", place->folder, file);
	return false;
}

/* A command that has failed once is left alone until the next night: it may take its time to fail. */
static bool
remove_received(struct expire_place *place, const char *id, int64_t *ret_removed)
{
	if (receiver_program(place->receiver, RECEIVER_REMOVE) == NULL) {
		place->n_stay++;
		return true;
	}
	if (place->why.code != ERR_NONE || receiver_remove(place->receiver, id, &place->why) != 0)
		return false;
	++*ret_removed;
	return true;
}

/* Removes the files that the catalogue says are here. */
static void
remove_files(struct expire_place *place, const struct db_result *rows, int64_t *ret_removed)
{
	str_release(&place->gone);
	for (int i = 0; i < db_rows(rows); i++) {
		const char *id = db_get_text(rows, i, E_ID);

		if (!backup_is_listed(place->name, db_get_text(rows, i, E_DESTINATIONS)))
			continue;
		if (place->receiver != NULL ? remove_received(place, id, ret_removed) : remove_file(place, id, ret_removed))
			array_add(&place->gone, id);
		else
			place->n_kept++;
	}
	if (place->gone.len == 0 || place->receiver != NULL || fsync(place->fd) == 0)
		return;
	(void)err_sys(&place->why, "writing directory %s", place->folder);
	place->n_kept++;
	str_release(&place->gone);
}

static int
enter_page(struct removal *removal, const struct db_result *rows, struct err *err)
{
	CLEANUP(str_release) struct str all = STR_INIT;

	for (size_t i = 0; i < removal->n; i++) {
		struct expire_place *place = &removal->places[i];

		if (place->gone.len > 0 &&
		    db_query(removal->db, &QUERY_ARCHIVE_REMOVED, DB_PARAMS(array_end(&place->gone), place->name), NULL, err) != 0)
			return -1;
	}
	for (int i = 0; i < db_rows(rows); i++)
		array_add(&all, db_get_text(rows, i, E_ID));
	return db_query(removal->db, &QUERY_ARCHIVE_FORGET, DB_PARAMS(array_end(&all), removal->names.s), NULL, err);
}

/* One transaction, behind all that takes time: nobody sees, and no journal gets, a row that names no destination. */
static int
remove_page(struct removal *removal, const struct db_result *rows, struct err *err)
{
	for (size_t i = 0; i < removal->n; i++)
		remove_files(&removal->places[i], rows, &removal->result->n_files);
	if (db_begin(removal->db, err) != 0)
		return -1;
	if (enter_page(removal, rows, err) == 0 && db_commit(removal->db, err) == 0)
		return 0;
	db_rollback(removal->db);
	return -1;
}

static int
remove_all(struct removal *removal, struct err *err)
{
	char after[2 * ARCHIVE_ID_SIZE + 1] = "";

	for (;;) {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_query(removal->db, &QUERY_ARCHIVE_EXPIRED, DB_PARAMS(after), &rows, err) != 0)
			return -1;
		if (db_rows(rows) == 0)
			return 0;
		if (remove_page(removal, rows, err) != 0)
			return -1;
		(void)snprintf(after, sizeof(after), "%s", db_get_text(rows, db_rows(rows) - 1, E_ID));
	}
}

static void
tell_failures(const struct removal *removal)
{
	for (size_t i = 0; i < removal->n; i++) {
		const struct expire_place *place = &removal->places[i];

		removal->result->n_stay += place->n_stay;
		if (place->n_stay > 0)
			str_addf(&removal->result->notes, "%s: %lld expired archives stay there, it has no remove command; they open for nobody\n",
				place->name, (long long)place->n_stay);
		if (place->n_kept == 0)
			continue;
		removal->result->n_left += place->n_kept;
		str_addf(&removal->result->failures, "%s: %lld files of expired archives are still there: %s\n", place->name,
			(long long)place->n_kept, place->why.msg);
	}
}

int
expire_remove(const struct keys *keys, struct db *db, struct expire_removed *ret, struct err *err)
{
	CLEANUP(removal_release) struct removal removal = { .db = db, .result = ret };
	CLEANUP(db_result_freep) struct db_result *marked = NULL;

	*ret = (struct expire_removed){ 0 };
	if (db_query(db, &QUERY_ARCHIVE_EXPIRE, NULL, &marked, err) != 0)
		return -1;
	ret->n_expired = db_get_int(marked, 0, 0);
	open_places(&removal, keys);
	if (remove_all(&removal, err) != 0)
		return -1;
	tell_failures(&removal);
	return 0;
}
