#include <fcntl.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/leaf_keys.h"
#include "archive/receiver.h"
#include "archive/repair.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "query.h"

/* columns of archive_catalogue */
enum { C_ID, C_HASH, C_FRAMES, C_ROWS, C_GENERATION, C_DESTINATIONS, C_SIZE, C_SENDING };

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
	struct leaf_keys *leaves;
	struct backup_check *check;
	struct str good, bad; /* destinations, a line each */
	int source;           /* a good copy, or -1 */
};

/* Every frame whose leaf lives. */
static int
read_all(const struct checking *c, int fd, const char *what, const struct journal *signed_by, const struct leaf *generation,
	struct archive_tally *tally, struct err *err)
{
	const struct archive_reading reading = { .key = leaf_keys_give, .ctx = c->leaves };
	CLEANUP(archive_closep) struct archive *archive = NULL;
	enum archive_verdict verdict;

	if (destination_open(&archive, fd, what, signed_by, c->hash, err) != 0 ||
	    archive_unlock(archive, generation->key, &verdict, err) != 0 ||
	    archive_read(archive, ARCHIVE_SEVERAL, &reading, tally, &verdict, err) != 0)
		return -1;
	if (tally->frames + tally->withheld != (uint64_t)db_get_int(c->rows, c->row, C_FRAMES) ||
	    tally->rows + tally->withheld_rows != (uint64_t)db_get_int(c->rows, c->row, C_ROWS))
		return err_set(err, ERR_FAILED, "%s: the catalogue has other counts of frames and rows", what);
	return 0;
}

static int
find_generation(const struct checking *c, const struct leaf **ret, struct err *err)
{
	*ret = leaf_keys_find(c->leaves, db_get_int(c->rows, c->row, C_GENERATION));
	return *ret != NULL ? 0 : err_set(err, ERR_FAILED, "the key of its generation is shredded");
}

/* Takes a good copy over, if it is the first. */
static void
tell(struct checking *c, const char *destination, const struct archive_tally *tally, int *fd, const struct err *why)
{
	bool good = why->code == ERR_NONE;

	str_addf(good ? &c->good : &c->bad, "%s\n", destination);
	if (good) {
		c->check->n_good++;
		if (c->source < 0) {
			c->source = *fd;
			*fd = -1;
		}
	} else
		c->check->n_bad++;
	c->check->tell(c->tenant, c->id, destination, tally, why->code == ERR_NONE ? NULL : why);
}

static int
check_file(const struct checking *c, const struct destination *place, struct archive_tally *tally, int *ret_fd, struct err *err)
{
	const struct leaf *generation;

	if (place->failed) {
		*err = place->why;
		return -1;
	}
	if (find_generation(c, &generation, err) != 0)
		return -1;
	*ret_fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (*ret_fd < 0)
		return err_sys(err, "opening %s", place->path);
	return read_all(c, *ret_fd, place->path, place->journal, generation, tally, err);
}

static int
check_files(struct checking *c, const uint8_t id[ARCHIVE_ID_SIZE], struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };

	destinations_init(&places, c->backup->keys, id);
	backup_find(&places, db_get_text(c->rows, c->row, C_DESTINATIONS), c->hash);
	for (size_t i = 0; i < places.n; i++) {
		const struct destination *place = &places.items[i];
		struct archive_tally tally = { 0 };
		CLEANUP(close_fd) int fd = -1;
		struct err why = { 0 };

		/* it was never there */
		if (place->failed && place->why.code == ERR_NONE)
			continue;
		if (c->backup->stop != NULL && c->backup->stop())
			return err_set(err, ERR_FAILED, "stopped");
		(void)check_file(c, place, &tally, &fd, &why);
		tell(c, place->name, &tally, &fd, &why);
	}
	return 0;
}

static int
check_fetched(const struct checking *c, const struct receiver *receiver, struct archive_tally *tally, int *ret_fd, struct err *err)
{
	const struct keys *keys = c->backup->keys;
	const struct leaf *generation;

	if (find_generation(c, &generation, err) != 0 ||
	    receiver_fetch(receiver, keys->config, c->id, (uint64_t)db_get_int(c->rows, c->row, C_SIZE), c->backup->stop, ret_fd, err) != 0)
		return -1;
	return read_all(c, *ret_fd, "what came back", &keys->journals[0], generation, tally, err);
}

/* What cannot be read back is neither good nor bad. */
static int
check_receivers(struct checking *c, struct err *err)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(c->backup->keys->config, i)) != NULL; i++) {
		struct archive_tally tally = { 0 };
		CLEANUP(close_fd) int fd = -1;
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
		(void)check_fetched(c, receiver, &tally, &fd, &why);
		tell(c, receiver_name(receiver), &tally, &fd, &why);
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
		.frames = (uint64_t)db_get_int(c->rows, c->row, C_FRAMES), .source = c->source, .good = str_cstr(&c->good),
		.listed = db_get_text(c->rows, c->row, C_DESTINATIONS), .sending = db_get_text(c->rows, c->row, C_SENDING) };

	if (generation == NULL)
		return 0;
	return c->check->repair ? repair_copies(&task, generation->key, err) : repair_count(&task);
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
	c->source = -1;
	failed = check_files(c, id, err) != 0 || check_receivers(c, err) != 0 || note_verdicts(c, err) != 0 || repair(c, id, err) != 0;
	close_fd(&c->source);
	str_release(&c->good);
	str_release(&c->bad);
	return failed ? -1 : 0;
}

int
backup_verify(const struct backup *backup, const char *tenant, struct backup_check *check, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(leaf_keys_release) struct leaf_keys leaves = { 0 };
	struct checking c = { .backup = backup, .tenant = tenant, .leaves = &leaves, .check = check };
	struct keyring ring;
	int failed = 0;

	if (db_query(backup->keys_db, &QUERY_ARCHIVE_CATALOGUE, DB_PARAMS(tenant), &rows, err) != 0)
		return -1;
	if (db_rows(rows) == 0)
		return 0;
	if (keyring_open(&ring, backup->keys_db, backup->keys->store, backup->keys->instance, err) != 0)
		return -1;
	failed = leaf_keys_load(&leaves, &ring, tenant, err);
	c.rows = rows;
	for (; failed == 0 && c.row < db_rows(rows); c.row++)
		failed = check_archive(&c, err);
	keyring_close(&ring);
	return failed;
}
