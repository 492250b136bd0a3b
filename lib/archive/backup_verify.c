#include <fcntl.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/leaf_keys.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "query.h"

/* columns of archive_catalogue */
enum { C_ID, C_HASH, C_FRAMES, C_ROWS, C_GENERATION, C_DESTINATIONS };

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Every frame whose leaf lives. */
static int
read_all(const struct destination *place, const struct leaf *generation, struct leaf_keys *leaves, struct archive_tally *tally,
	struct err *err)
{
	const struct archive_reading reading = { .key = leaf_keys_give, .ctx = leaves };
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(close_fd) int fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	enum archive_verdict verdict;

	if (fd < 0)
		return err_sys(err, "opening %s", place->path);
	if (archive_open(&archive, fd, (const uint8_t(*)[ED25519_KEY_SIZE])place->journal->public, 1, &verdict, err) != 0 ||
	    archive_unlock(archive, generation->key, &verdict, err) != 0)
		return -1;
	return archive_read(archive, ARCHIVE_SEVERAL, &reading, tally, &verdict, err);
}

static int
check_copy(const struct destination *place, const struct db_result *rows, int row, struct leaf_keys *leaves,
	struct archive_tally *tally, struct err *err)
{
	const struct leaf *generation = leaf_keys_find(leaves, db_get_int(rows, row, C_GENERATION));

	if (place->failed) {
		*err = place->why;
		return -1;
	}
	if (generation == NULL)
		return err_set(err, ERR_FAILED, "the key of its generation is shredded");
	if (read_all(place, generation, leaves, tally, err) != 0)
		return -1;
	if (tally->frames + tally->withheld != (uint64_t)db_get_int(rows, row, C_FRAMES) ||
	    tally->rows + tally->withheld_rows != (uint64_t)db_get_int(rows, row, C_ROWS))
		return err_set(err, ERR_FAILED, "%s: the catalogue has other counts of frames and rows", place->path);
	return 0;
}

static int
check_archive(const struct backup *backup, const char *tenant, const struct db_result *rows, int row, struct leaf_keys *leaves,
	struct backup_check *check, struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };
	const char *id_text = db_get_text(rows, row, C_ID);
	uint8_t id[ARCHIVE_ID_SIZE], hash[SHA256_SIZE];

	if (bytes_from_hex(id_text, id, sizeof(id)) != 0 || bytes_from_hex(db_get_text(rows, row, C_HASH), hash, sizeof(hash)) != 0)
		return err_set(err, ERR_FAILED, "archive %.80s: its row is malformed", id_text);
	destinations_init(&places, backup->keys, id);
	backup_find(&places, db_get_text(rows, row, C_DESTINATIONS), hash);
	for (size_t i = 0; i < places.n; i++) {
		const struct destination *place = &places.items[i];
		struct archive_tally tally = { 0 };
		struct err why = { 0 };

		/* it was never there */
		if (place->failed && place->why.code == ERR_NONE)
			continue;
		if (backup->stop != NULL && backup->stop())
			return err_set(err, ERR_FAILED, "stopped");
		if (check_copy(place, rows, row, leaves, &tally, &why) == 0)
			check->n_good++;
		else
			check->n_bad++;
		check->tell(tenant, id_text, place->name, &tally, why.code == ERR_NONE ? NULL : &why);
	}
	return 0;
}

int
backup_verify(const struct backup *backup, const char *tenant, struct backup_check *check, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(leaf_keys_release) struct leaf_keys leaves = { 0 };
	struct keyring ring;
	int failed = 0;

	if (db_query(backup->keys_db, &QUERY_ARCHIVE_CATALOGUE, DB_PARAMS(tenant), &rows, err) != 0)
		return -1;
	if (db_rows(rows) == 0)
		return 0;
	if (keyring_open(&ring, backup->keys_db, backup->keys->store, backup->keys->instance, err) != 0)
		return -1;
	failed = leaf_keys_load(&leaves, &ring, tenant, err);
	for (int i = 0; failed == 0 && i < db_rows(rows); i++)
		failed = check_archive(backup, tenant, rows, i, &leaves, check, err);
	keyring_close(&ring);
	return failed;
}
