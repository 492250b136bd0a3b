#include "archive/sending.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/receiver.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

/* columns of archive_unsent */
enum { S_ID, S_HASH, S_DESTINATIONS, S_SENDING };

/* One tenant's. */
struct sending {
	const struct backup *backup;
	struct backup_result *result;
	struct db_result *rows;
	bool *gave_up; /* on which receiver */
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

void
sending_names(const struct config *config, struct str *array)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(config, i)) != NULL; i++)
		array_add(array, receiver_name(receiver));
}

static void
fail(struct sending *sending, const struct receiver *receiver, const char *id, const char *what, const struct err *why)
{
	sending->result->n_failed++;
	str_addf(&sending->result->failures, "%s: archive %.16s %s: %s\n", receiver_name(receiver), id, what, why->msg);
}

/* The first copy that is whole; -1. */
static int
open_source(const struct sending *sending, int row, const uint8_t hash[SHA256_SIZE], struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };
	uint8_t id[ARCHIVE_ID_SIZE];

	if (bytes_from_hex(db_get_text(sending->rows, row, S_ID), id, sizeof(id)) != 0)
		return err_set(err, ERR_FAILED, "its row is malformed");
	destinations_init(&places, sending->backup->keys, id);
	for (size_t i = 0; i < places.n; i++) {
		struct destination *place = &places.items[i];
		int fd;

		if (!backup_is_listed(place->name, db_get_text(sending->rows, row, S_DESTINATIONS)))
			continue;
		destination_look(place, hash);
		if (place->named && (fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) >= 0)
			return fd;
	}
	return err_set(err, ERR_FAILED, "no directory has a whole copy of it");
}

/* That it is there now. What has expired meanwhile is not to stay. */
static int
enter(struct sending *sending, const struct receiver *receiver, const char *id, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *entered = NULL;
	struct err why = { 0 };

	if (db_query(sending->backup->keys_db, &QUERY_ARCHIVE_SENT, DB_PARAMS(id, receiver_name(receiver)), &entered, err) != 0)
		return -1;
	if (db_rows(entered) == 0 && receiver_program(receiver, RECEIVER_REMOVE) != NULL && receiver_remove(receiver, id, &why) != 0)
		fail(sending, receiver, id, "has expired meanwhile, and stays there", &why);
	return 0;
}

static int
send_row(struct sending *sending, int row, size_t i, const struct receiver *receiver, struct err *err)
{
	const char *id = db_get_text(sending->rows, row, S_ID);
	uint8_t hash[SHA256_SIZE];
	CLEANUP(close_fd) int fd = -1;
	struct err why = { 0 };

	if (bytes_from_hex(db_get_text(sending->rows, row, S_HASH), hash, sizeof(hash)) != 0)
		return err_set(err, ERR_FAILED, "archive %.80s: its row is malformed", id);
	fd = open_source(sending, row, hash, &why);
	if (fd < 0) {
		fail(sending, receiver, id, "was not taken", &why);
		return 0;
	}
	if (receiver_store(receiver, id, fd, hash, sending->backup->stop, &why) == 0)
		return enter(sending, receiver, id, err);
	fail(sending, receiver, id, "was not taken", &why);
	sending->gave_up[i] = true;
	return 0;
}

static int
send_all(struct sending *sending, struct err *err)
{
	const struct backup *b = sending->backup;
	const struct receiver *receiver;

	for (int row = 0; row < db_rows(sending->rows); row++)
		for (size_t i = 0; (receiver = receiver_at(b->keys->config, i)) != NULL; i++) {
			if (sending->gave_up[i] || !backup_is_listed(receiver_name(receiver), db_get_text(sending->rows, row, S_SENDING)))
				continue;
			if (b->stop != NULL && b->stop())
				return 0;
			if (send_row(sending, row, i, receiver, err) != 0)
				return -1;
		}
	return 0;
}

int
sending_run(const struct backup *backup, const char *tenant, struct backup_result *result, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	struct sending sending = { .backup = backup, .result = result };
	size_t n = 0;
	int failed;

	while (receiver_at(backup->keys->config, n) != NULL)
		n++;
	if (n == 0)
		return 0;
	if (db_query(backup->keys_db, &QUERY_ARCHIVE_UNSENT, DB_PARAMS(tenant), &rows, err) != 0)
		return -1;
	sending.rows = rows;
	sending.gave_up = mem_zero(n, sizeof(*sending.gave_up));
	failed = send_all(&sending, err);
	free(sending.gave_up);
	return failed;
}
