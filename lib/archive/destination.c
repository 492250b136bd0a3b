#include "archive/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"
#include "sys/tasks.h"

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

char *
destination_folder(const struct journal *journal)
{
	CLEANUP(free_text) char *archives = file_join(journal->directory, "archives");

	return file_join(archives, journal->instance);
}

void
destinations_init(struct destinations *ret, const struct keys *keys, const uint8_t id[ARCHIVE_ID_SIZE])
{
	char hex[2 * ARCHIVE_ID_SIZE + 1];

	*ret = (struct destinations){ .keys = keys };
	bytes_to_hex(id, ARCHIVE_ID_SIZE, hex);
	for (size_t i = 0; i < keys->n_journals; i++) {
		CLEANUP(free_text) char *folder = destination_folder(&keys->journals[i]);
		CLEANUP(free_text) char *name = mem_printf("%s.archive", hex);
		struct destination *place = MEM_PUSH(ret->items, ret->n);

		place->name = keys->journals[i].name;
		place->journal = &keys->journals[i];
		place->path = file_join(folder, name);
		place->fd = -1;
	}
}

/* Gives a place up: what is there has no name, and never gets one. */
static void
forget(struct destination *place)
{
	close_fd(&place->fd);
	if (place->temporary != NULL)
		(void)unlink(place->temporary);
	free(place->temporary);
	place->temporary = NULL;
}

void
destinations_release(struct destinations *list)
{
	for (size_t i = 0; i < list->n; i++) {
		forget(&list->items[i]);
		free(list->items[i].path);
	}
	free(list->items);
	*list = (struct destinations){ 0 };
}

static void
fail(struct destination *place, const struct err *why)
{
	place->why = *why;
	place->failed = true;
	forget(place);
}

size_t
destinations_left(const struct destinations *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += !list->items[i].failed;
	return n;
}

int
destinations_need_one(const struct destinations *list, struct err *err)
{
	if (destinations_left(list) > 0)
		return 0;
	*err = list->items[0].why;
	return err_prefix(err, "none of %zu destinations is left; %s", list->n, list->items[0].name);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static int
write_all(void *ctx, const void *bytes, size_t n, struct err *err)
{
	struct destinations *list = ctx;

	for (size_t i = 0; i < list->n; i++) {
		struct destination *place = &list->items[i];
		struct err why = { 0 };

		if (place->failed || file_write_all(place->fd, bytes, n) == 0)
			continue;
		(void)err_sys(&why, "writing %s", place->path);
		fail(place, &why);
	}
	return destinations_need_one(list, err);
}

static int
open_one(struct destination *place, struct err *err)
{
	CLEANUP(free_text) char *archives = file_join(place->journal->directory, "archives");
	CLEANUP(free_text) char *ours = destination_folder(place->journal);

	if (journal_marked(place->journal, err) != 0 || file_make_directory(archives, 0700, err) != 0 || file_make_directory(ours, 0700, err) != 0)
		return -1;
	place->fd = file_open_nameless(place->path, &place->temporary);
	return place->fd >= 0 ? 0 : err_sys(err, "creating a file for %s", place->path);
}

int
destinations_open(struct destinations *list, struct archive_sink *ret, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct err why = { 0 };

		if (!list->items[i].failed && open_one(&list->items[i], &why) != 0)
			fail(&list->items[i], &why);
	}
	*ret = (struct archive_sink){ write_all, list };
	return destinations_need_one(list, err);
}

/* ---- reading back ------------------------------------------------------------------------------- */

int
destination_open(struct archive **ret, int fd, const char *what, const struct journal *signed_by, const uint8_t hash[SHA256_SIZE],
	struct err *err)
{
	enum archive_verdict verdict;

	if (archive_open(ret, fd, (const uint8_t(*)[ED25519_KEY_SIZE])signed_by->public, 1, &verdict, err) != 0)
		return err_prefix(err, "%s", what);
	if (memcmp(archive_hash(*ret), hash, SHA256_SIZE) != 0)
		return err_set(err, ERR_FAILED, "%s: another archive than the one that was written", what);
	return 0;
}

static int
read_back(struct destination *place, const struct archive_summary *summary, const uint8_t generation_key[ARCHIVE_KEY_SIZE],
	struct err *err)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(close_fd) int fd = -1;
	enum archive_verdict verdict;
	char self[40];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", place->fd);
	if (fsync(place->fd) != 0)
		return err_sys(err, "writing %s", place->path);
	/* what the disk has, not what memory remembers of it; where that cannot be asked for, the copy in memory is read */
	(void)posix_fadvise(place->fd, 0, 0, POSIX_FADV_DONTNEED);
	fd = open(place->temporary != NULL ? place->temporary : self, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "reading %s back", place->path);
	if (destination_open(&archive, fd, place->path, place->journal, summary->hash, err) != 0)
		return -1;
	if (generation_key == NULL)
		return 0;
	if (archive_unlock(archive, generation_key, &verdict, err) != 0)
		return -1;
	if (archive_frames(archive) != summary->frames)
		return err_set(err, ERR_FAILED, "%s: %llu frames were written, and %llu are there", place->path,
			(unsigned long long)summary->frames, (unsigned long long)archive_frames(archive));
	return 0;
}

/* One place's part of destinations_verify. */
struct reading_back {
	struct destination *place;
	const struct archive_summary *summary;
	const uint8_t *generation_key;
	bool done;
};

static int
read_one_back(void *ctx, struct err *err)
{
	struct reading_back *one = ctx;
	struct err why = { 0 };

	(void)err;
	if (!one->place->failed && read_back(one->place, one->summary, one->generation_key, &why) != 0)
		fail(one->place, &why);
	one->done = true;
	return 0;
}

/* All places at once: each waits for its own disk. */
int
destinations_verify(struct destinations *list, const struct archive_summary *summary,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	struct reading_back *each = mem_zero(list->n, sizeof(*each));
	struct task *tasks = mem_zero(list->n, sizeof(*tasks));
	struct err unused = { 0 };

	for (size_t i = 0; i < list->n; i++) {
		each[i] = (struct reading_back){ &list->items[i], summary, generation_key, false };
		tasks[i] = (struct task){ .work = read_one_back, .ctx = &each[i] };
	}
	if (list->n > 0)
		(void)tasks_run(tasks, list->n, &unused);
	for (size_t i = 0; i < list->n; i++)
		if (!each[i].done) /* no thread could be had */
			(void)read_one_back(&each[i], &unused);
	free(tasks);
	free(each);
	return destinations_need_one(list, err);
}

int
destinations_journal(struct destinations *list, struct db *db, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct err why = { 0 };

		if (list->items[i].failed || journal_write(list->items[i].journal, db, false, &why) == 0)
			continue;
		fail(&list->items[i], &why);
		if (why.code == ERR_REFUSED || why.code == ERR_LOST) {
			*err = why;
			return -1;
		}
	}
	return destinations_need_one(list, err);
}

int
destinations_name(struct destinations *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct destination *place = &list->items[i];
		struct err why = { 0 };

		if (place->failed)
			continue;
		if (file_publish(place->fd, place->temporary, place->path, 0600, &why) == 0) {
			place->named = true;
			continue;
		}
		/* ours: its id is random */
		(void)unlink(place->path);
		fail(place, &why);
	}
	return destinations_need_one(list, err);
}

void
destination_look(struct destination *place, const uint8_t hash[SHA256_SIZE])
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(free_text) char *folder = destination_folder(place->journal);
	CLEANUP(close_fd) int fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		bool absent = errno == ENOENT;

		(void)err_sys(&place->why, "opening %s", place->path);
		/* in a directory that is not mounted there is no file either */
		place->unsure = !absent || !file_exists(folder);
	} else {
		place->named = destination_open(&archive, fd, place->path, place->journal, hash, &place->why) == 0;
	}
	place->failed = !place->named;
}
