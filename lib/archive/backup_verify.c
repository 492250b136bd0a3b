#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/leaf_keys.h"
#include "archive/receiver.h"
#include "archive/repair.h"
#include "archive/sources.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

/* columns of archive_catalogue */
enum { C_ID, C_HASH, C_FRAMES, C_ROWS, C_GENERATION, C_DESTINATIONS, C_SIZE, C_SENDING, C_BARE };

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* One archive, and what opens it. */
struct checking {
	const struct backup *backup;
	const char *tenant, *id;
	const struct db_result *rows;
	int row;
	uint8_t hash[SHA256_SIZE];
	bool bare; /* its generation is shredded: a file that others refer to */
	struct leaf_keys *leaves;
	struct sources *places; /* of each destination: directories, then commands */
	struct backup_check *check;
	struct str good, bad; /* destinations, a line each */
	struct str intact;    /* those whose own file is whole, whatever it refers to */
	int source;           /* a good copy, or -1 */
};

/* One list for each destination: what is in another does not make this one whole. */
static struct sources *
make_places(const struct backup *backup, size_t *ret_n)
{
	const struct keys *keys = backup->keys;
	const struct receiver *receiver;
	struct sources *places = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < keys->n_journals; i++) {
		sources_init(MEM_PUSH(places, *ret_n), keys, backup->stop);
		sources_look_in(&places[i], &keys->journals[i]);
	}
	for (size_t i = 0; (receiver = receiver_at(keys->config, i)) != NULL; i++) {
		sources_init(MEM_PUSH(places, *ret_n), keys, backup->stop);
		sources_look_with(&places[keys->n_journals + i], receiver);
	}
	return places;
}

static void
free_places(struct sources *places, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sources_release(&places[i]);
	free(places);
}

/* A copy in the nth place. */
struct copy {
	size_t place;
	const char *name; /* of the destination */
	const char *what; /* how errors call it */
	int fd;
	struct archive_tally tally;
};

/* Every frame whose leaf lives. */
static int
read_frames(const struct checking *c, struct copy *copy, struct archive *archive, struct err *err)
{
	const struct archive_reading reading = { .key = leaf_keys_give, .ctx = c->leaves };
	struct archive_tally *tally = &copy->tally;
	enum archive_verdict verdict;

	sources_attach_itself(&c->places[copy->place], archive);
	if (archive_read(archive, ARCHIVE_SEVERAL, &reading, tally, &verdict, err) != 0)
		return -1;
	if (tally->frames + tally->withheld != (uint64_t)db_get_int(c->rows, c->row, C_FRAMES) ||
	    tally->rows + tally->withheld_rows != (uint64_t)db_get_int(c->rows, c->row, C_ROWS))
		return err_set(err, ERR_FAILED, "%s: the catalogue has other counts of frames and rows", copy->what);
	return 0;
}

static int
read_all(struct checking *c, struct copy *copy, struct err *err)
{
	const struct keys *keys = c->backup->keys;
	const struct journal *signed_by = &keys->journals[copy->place < keys->n_journals ? copy->place : 0];
	const struct leaf *generation = leaf_keys_find(c->leaves, db_get_int(c->rows, c->row, C_GENERATION));
	CLEANUP(archive_closep) struct archive *archive = NULL;
	enum archive_verdict verdict;

	if (generation == NULL && !c->bare)
		return err_set(err, ERR_FAILED, "the key of its generation is shredded");
	if (destination_open(&archive, copy->fd, copy->what, signed_by, c->hash, err) != 0)
		return -1;
	str_addf(&c->intact, "%s\n", copy->name);
	if (c->bare)
		return 0;
	if (archive_unlock(archive, generation->key, &verdict, err) != 0 || sources_attach(&c->places[copy->place], archive, err) != 0)
		return -1;
	return read_frames(c, copy, archive, err);
}

/* Takes a good copy over, if it is the first. */
static void
tell(struct checking *c, struct copy *copy, const struct err *why)
{
	bool good = why->code == ERR_NONE;

	str_addf(good ? &c->good : &c->bad, "%s\n", copy->name);
	if (good) {
		c->check->n_good++;
		if (c->source < 0) {
			c->source = copy->fd;
			copy->fd = -1;
		}
	} else
		c->check->n_bad++;
	c->check->tell(c->tenant, c->id, copy->name, &copy->tally, good ? NULL : why);
	close_fd(&copy->fd);
}

static int
check_file(struct checking *c, const struct destination *place, struct copy *copy, struct err *err)
{
	if (place->failed) {
		*err = place->why;
		return -1;
	}
	copy->fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (copy->fd < 0)
		return err_sys(err, "opening %s", place->path);
	return read_all(c, copy, err);
}

static int
check_files(struct checking *c, const uint8_t id[ARCHIVE_ID_SIZE], struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };

	destinations_init(&places, c->backup->keys, id);
	backup_find(&places, db_get_text(c->rows, c->row, C_DESTINATIONS), c->hash);
	for (size_t i = 0; i < places.n; i++) {
		const struct destination *place = &places.items[i];
		struct copy copy = { .place = i, .name = place->name, .what = place->path, .fd = -1 };
		struct err why = { 0 };

		/* it was never there */
		if (place->failed && place->why.code == ERR_NONE)
			continue;
		if (c->backup->stop != NULL && c->backup->stop())
			return err_set(err, ERR_FAILED, "stopped");
		(void)check_file(c, place, &copy, &why);
		tell(c, &copy, &why);
	}
	return 0;
}

static int
check_fetched(struct checking *c, const struct receiver *receiver, struct copy *copy, struct err *err)
{
	return receiver_fetch(receiver, c->backup->keys->config, c->id, (uint64_t)db_get_int(c->rows, c->row, C_SIZE), c->backup->stop,
		       &copy->fd, err) != 0 ? -1 : read_all(c, copy, err);
}

/* What cannot be read back is neither good nor bad. */
static int
check_receivers(struct checking *c, struct err *err)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(c->backup->keys->config, i)) != NULL; i++) {
		struct copy copy = { .place = c->backup->keys->n_journals + i, .name = receiver_name(receiver), .what = "what came back", .fd = -1 };
		struct err why = { 0 };

		if (!backup_is_listed(receiver_name(receiver), db_get_text(c->rows, c->row, C_DESTINATIONS)))
			continue;
		if (c->backup->stop != NULL && c->backup->stop())
			return err_set(err, ERR_FAILED, "stopped");
		if (receiver_program(receiver, RECEIVER_FETCH) == NULL) {
			c->check->n_unread++;
			c->check->tell(c->tenant, c->id, receiver_name(receiver), NULL, NULL);
			continue;
		}
		(void)check_fetched(c, receiver, &copy, &why);
		tell(c, &copy, &why);
	}
	return 0;
}

/* For status, which counts them. */
static int
note_verdicts(const struct checking *c, struct err *err)
{
	return db_query(c->backup->keys_db, &QUERY_ARCHIVE_CHECKED, DB_PARAMS(c->id, str_cstr(&c->good), str_cstr(&c->bad)), NULL, err);
}

static int
repair(const struct checking *c, const uint8_t id[ARCHIVE_ID_SIZE], struct err *err)
{
	const struct leaf *generation = leaf_keys_find(c->leaves, db_get_int(c->rows, c->row, C_GENERATION));
	const struct repair task = { .backup = c->backup, .check = c->check, .tenant = c->tenant, .id = c->id, .id_bytes = id, .hash = c->hash,
		.frames = (uint64_t)db_get_int(c->rows, c->row, C_FRAMES), .source = c->source, .intact = str_cstr(&c->intact),
		.listed = db_get_text(c->rows, c->row, C_DESTINATIONS), .sending = db_get_text(c->rows, c->row, C_SENDING) };

	if (generation == NULL && !c->bare)
		return 0;
	if (!c->check->repair)
		return repair_count(&task);
	return repair_copies(&task, c->bare ? NULL : generation->key, err);
}

static int
check_archive(struct checking *c, struct err *err)
{
	uint8_t id[ARCHIVE_ID_SIZE];
	int failed;

	c->id = db_get_text(c->rows, c->row, C_ID);
	if (bytes_from_hex(c->id, id, sizeof(id)) != 0 ||
	    bytes_from_hex(db_get_text(c->rows, c->row, C_HASH), c->hash, sizeof(c->hash)) != 0)
		return err_set(err, ERR_FAILED, "archive %.80s: its row is malformed", c->id);
	c->bare = db_get_bool(c->rows, c->row, C_BARE);
	c->source = -1;
	failed = check_files(c, id, err) != 0 || check_receivers(c, err) != 0 || note_verdicts(c, err) != 0 || repair(c, id, err) != 0;
	close_fd(&c->source);
	str_release(&c->good);
	str_release(&c->bad);
	str_release(&c->intact);
	return failed ? -1 : 0;
}

/* With the lock of keys: what the catalogue lists here neither expires nor loses what it refers to meanwhile. */
static int
check_all(struct checking *c, struct keyring *ring, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	size_t n_places = 0;
	int failed = 0;

	if (db_query(c->backup->keys_db, &QUERY_ARCHIVE_CATALOGUE, DB_PARAMS(c->tenant), &rows, err) != 0 ||
	    (db_rows(rows) > 0 && leaf_keys_load(c->leaves, ring, c->tenant, err) != 0))
		return -1;
	c->rows = rows;
	c->places = make_places(c->backup, &n_places);
	for (; failed == 0 && c->row < db_rows(rows); c->row++)
		failed = check_archive(c, err);
	free_places(c->places, n_places);
	return failed;
}

int
backup_verify(const struct backup *backup, const char *tenant, struct backup_check *check, struct err *err)
{
	CLEANUP(leaf_keys_release) struct leaf_keys leaves = { 0 };
	struct checking c = { .backup = backup, .tenant = tenant, .leaves = &leaves, .check = check };
	struct keyring ring;
	int failed;

	if (keyring_open(&ring, backup->keys_db, backup->keys->store, backup->keys->instance, err) != 0)
		return -1;
	failed = check_all(&c, &ring, err);
	keyring_close(&ring);
	return failed;
}
