#include "archive/repair.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/receiver.h"
#include "base/cleanup.h"
#include "query.h"

#define PART 65536

static bool
is_missing(const struct repair *task, const char *name)
{
	return !backup_is_listed(name, task->listed) && !backup_is_listed(name, task->sending);
}

int
repair_count(const struct repair *task)
{
	const struct keys *keys = task->backup->keys;
	const struct receiver *receiver;

	for (size_t i = 0; i < keys->n_journals; i++)
		task->check->n_missing += is_missing(task, keys->journals[i].name);
	for (size_t i = 0; (receiver = receiver_at(keys->config, i)) != NULL; i++)
		task->check->n_missing += is_missing(task, receiver_name(receiver));
	return 0;
}

static void
tell(const struct repair *task, const char *name, bool later, const struct err *why)
{
	if (why == NULL) {
		task->check->n_repaired++;
		task->check->n_bad -= backup_is_listed(name, task->listed);
	} else
		task->check->n_missing += is_missing(task, name);
	task->check->repaired(task->tenant, task->id, name, later, why);
}

/* ---- directories -------------------------------------------------------------------------------- */

/* Whether a directory is to get it. */
static bool
is_chosen(const struct repair *task, const char *name)
{
	return !backup_is_listed(name, task->intact);
}

static size_t
choose(const struct repair *task, struct destinations *places)
{
	size_t n = 0;

	for (size_t i = 0; i < places->n; i++) {
		places->items[i].failed = !is_chosen(task, places->items[i].name);
		n += !places->items[i].failed;
	}
	return n;
}

static int
copy_bytes(const struct repair *task, const struct archive_sink *sink, struct err *err)
{
	uint8_t part[PART];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(task->source, part, sizeof(part), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "reading the good copy");
		if (n == 0)
			return 0;
		if (task->backup->stop != NULL && task->backup->stop())
			return err_set(err, ERR_FAILED, "stopped");
		if (sink->write(sink->ctx, part, (size_t)n, err) != 0)
			return -1;
		at += n;
	}
}

/* The bad file goes when the good one lies beside it, read back. */
static int
make_room(const struct destinations *places, struct err *err)
{
	for (size_t i = 0; i < places->n; i++)
		if (!places->items[i].failed && unlink(places->items[i].path) != 0 && errno != ENOENT)
			return err_sys(err, "removing the bad copy %s", places->items[i].path);
	return 0;
}

static int
write_copies(const struct repair *task, struct destinations *places, const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	struct archive_summary summary = { .frames = task->frames };
	struct archive_sink sink;

	memcpy(summary.hash, task->hash, SHA256_SIZE);
	if (destinations_open(places, &sink, err) != 0 || copy_bytes(task, &sink, err) != 0 ||
	    destinations_verify(places, &summary, generation_key, err) != 0 ||
	    destinations_journal(places, task->backup->keys_db, err) != 0 || make_room(places, err) != 0)
		return -1;
	return destinations_name(places, err);
}

static int
enter(const struct repair *task, const struct destinations *places, const struct err *all, struct err *err)
{
	for (size_t i = 0; i < places->n; i++) {
		const struct destination *place = &places->items[i];

		if (!is_chosen(task, place->name))
			continue;
		if (place->named && db_query(task->backup->keys_db, &QUERY_ARCHIVE_COPIED, DB_PARAMS(task->id, place->name), NULL, err) != 0)
			return -1;
		tell(task, place->name, false, place->named ? NULL : place->why.code != ERR_NONE ? &place->why : all);
	}
	return 0;
}

static int
repair_directories(const struct repair *task, const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };
	struct err why = { 0 };

	destinations_init(&places, task->backup->keys, task->id_bytes);
	if (choose(task, &places) == 0)
		return 0;
	if (write_copies(task, &places, generation_key, &why) != 0 && (why.code == ERR_REFUSED || why.code == ERR_LOST)) {
		*err = why;
		return -1;
	}
	return enter(task, &places, &why, err);
}

/* ---- commands ----------------------------------------------------------------------------------- */

/* What cannot be read back was never found bad. */
static bool
is_wanted(const struct repair *task, const struct receiver *receiver)
{
	const char *name = receiver_name(receiver);

	if (backup_is_listed(name, task->intact) || backup_is_listed(name, task->sending))
		return false;
	return is_missing(task, name) || receiver_program(receiver, RECEIVER_FETCH) != NULL;
}

static int
repair_receivers(const struct repair *task, struct err *err)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(task->backup->keys->config, i)) != NULL; i++) {
		if (!is_wanted(task, receiver))
			continue;
		if (db_query(task->backup->keys_db, &QUERY_ARCHIVE_RESEND, DB_PARAMS(task->id, receiver_name(receiver)), NULL, err) != 0)
			return -1;
		tell(task, receiver_name(receiver), true, NULL);
	}
	return 0;
}

int
repair_copies(const struct repair *task, const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	if (task->source < 0)
		return repair_count(task);
	return repair_directories(task, generation_key, err) != 0 ? -1 : repair_receivers(task, err);
}
