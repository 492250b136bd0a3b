#include "archive/earlier.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "keys/leaf.h"
#include "query.h"

#define DAY 86400
#define REFER_MAX 250 /* files that one archive refers to: frames of others are written again, so that they come together */

/* columns of archive_earlier */
enum { E_ID, E_HASH, E_SIZE, E_CREATED, E_DESTINATIONS };

/* A file that the archive's frames lie in: 0, itself; n, the nth that it refers to. */
struct lying {
	struct archive_file file;
	bool usable;
	uint32_t number; /* what the next archive calls it; 0: nothing yet */
};

struct frame_place {
	int64_t leaf;
	uint64_t number; /* in the index */
};

struct earlier {
	struct archive *archive;
	int fd;
	struct lying *files;
	size_t n_files;
	size_t n_away; /* of these: young, and not everywhere */
	struct frame_place *frames; /* by leaf, then number */
	size_t n_frames;
	uint8_t frame_key[ARCHIVE_KEY_SIZE]; /* of the last find */
};

void
earlier_free(struct earlier *earlier)
{
	if (earlier == NULL)
		return;
	archive_close(earlier->archive);
	if (earlier->fd >= 0)
		(void)close(earlier->fd);
	secret_wipe(earlier->frame_key, sizeof(earlier->frame_key));
	free(earlier->files);
	free(earlier->frames);
	free(earlier);
}

static void
free_earlier(struct earlier **earlier)
{
	earlier_free(*earlier);
}

/* ---- which files -------------------------------------------------------------------------------- */

static bool
is_young(const struct keys *keys, int64_t created, int64_t now)
{
	return created <= now && now - created < config_int(keys->config, SET_ARCHIVES_REUSE_DAYS) * DAY;
}

/* In every directory that archives go to now, according to the catalogue and to its length there. */
static bool
is_everywhere(const struct keys *keys, const struct archive_file *file, const char *destinations)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };

	destinations_init(&places, keys, file->id);
	for (size_t i = 0; i < places.n; i++) {
		struct stat st;

		if (!backup_is_listed(places.items[i].name, destinations) || lstat(places.items[i].path, &st) != 0 || !S_ISREG(st.st_mode) ||
		    (uint64_t)st.st_size != file->size)
			return false;
	}
	return true;
}

static int
file_of(const struct db_result *rows, int row, struct archive_file *ret, struct err *err)
{
	if (bytes_from_hex(db_get_text(rows, row, E_ID), ret->id, sizeof(ret->id)) != 0 ||
	    bytes_from_hex(db_get_text(rows, row, E_HASH), ret->hash, sizeof(ret->hash)) != 0)
		return err_set(err, ERR_FAILED, "archive %.80s: its row is malformed", db_get_text(rows, row, E_ID));
	ret->size = (uint64_t)db_get_int(rows, row, E_SIZE);
	return 0;
}

/* Which of the archive's files the catalogue knows, and thinks usable. */
static int
judge(struct earlier *earlier, const struct keys *keys, const struct db_result *rows, int64_t now, struct err *err)
{
	for (int i = 0; i < db_rows(rows); i++) {
		struct archive_file known;

		if (file_of(rows, i, &known, err) != 0)
			return -1;
		for (size_t k = 0; k < earlier->n_files; k++) {
			struct lying *lying = &earlier->files[k];

			if (memcmp(lying->file.id, known.id, ARCHIVE_ID_SIZE) == 0 && memcmp(lying->file.hash, known.hash, SHA256_SIZE) == 0 &&
			    lying->file.size == known.size && is_young(keys, db_get_int(rows, i, E_CREATED), now)) {
				lying->usable = is_everywhere(keys, &known, db_get_text(rows, i, E_DESTINATIONS));
				earlier->n_away += !lying->usable;
			}
		}
	}
	return 0;
}

/* ---- the index ---------------------------------------------------------------------------------- */

static int
by_leaf(const void *a, const void *b)
{
	const struct frame_place *one = a, *other = b;

	if (one->leaf != other->leaf)
		return one->leaf < other->leaf ? -1 : 1;
	return (one->number > other->number) - (one->number < other->number);
}

static int
read_index(struct earlier *earlier, struct err *err)
{
	uint64_t n = archive_frames(earlier->archive);
	enum archive_verdict verdict;

	for (uint64_t i = 0; i < n; i++) {
		struct archive_frame frame;

		if (archive_frame(earlier->archive, i, &frame, &verdict, err) != 0)
			return -1;
		if (earlier->files[frame.file].usable)
			*MEM_PUSH(earlier->frames, earlier->n_frames) = (struct frame_place){ frame.leaf, i };
	}
	if (earlier->n_frames > 0)
		qsort(earlier->frames, earlier->n_frames, sizeof(*earlier->frames), by_leaf);
	return 0;
}

/* The first copy whose index opens. */
static int
open_copy(struct earlier *earlier, const struct keys *keys, const struct archive_file *file, const struct leaf *generation, struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };

	destinations_init(&places, keys, file->id);
	for (size_t i = 0; i < places.n; i++) {
		const struct destination *place = &places.items[i];
		enum archive_verdict verdict;

		earlier->fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (earlier->fd < 0)
			(void)err_sys(err, "opening %s", place->path);
		else if (archive_open_index(&earlier->archive, earlier->fd, &place->journal->public, 1, &verdict, err) == 0 &&
			archive_unlock(earlier->archive, generation->key, &verdict, err) == 0)
			return 0;
		archive_closep(&earlier->archive);
		if (earlier->fd >= 0)
			(void)close(earlier->fd);
		earlier->fd = -1;
	}
	return -1;
}

/* Files that are there, and frames that lie in them. */
static int
take(struct earlier *earlier, const struct keys *keys, const struct db_result *rows, const struct leaf *generation, int64_t now,
	struct err *err)
{
	struct archive_file latest;

	if (file_of(rows, 0, &latest, err) != 0 || open_copy(earlier, keys, &latest, generation, err) != 0)
		return -1;
	MEM_PUSH(earlier->files, earlier->n_files)->file = latest;
	for (size_t i = 0; i < archive_files(earlier->archive); i++)
		MEM_PUSH(earlier->files, earlier->n_files)->file = *archive_file(earlier->archive, i);
	return judge(earlier, keys, rows, now, err) != 0 ? -1 : read_index(earlier, err);
}

static int
find_generation(struct keyring *ring, const char *tenant, const char *id, struct leaf *ret, struct err *err)
{
	const struct leaf_names names = { .tenant = tenant, .kind = "generation", .names = &id, .hashes = DB_PARAMS(""), .n = 1 };

	if (leaf_take(ring, &names, LEAF_FIND, ret, err) != 0)
		return -1;
	return ret->state == LEAF_LIVING ? 0 : err_set(err, ERR_FAILED, "the key of its generation is not there");
}

int
earlier_open(struct earlier **ret, const struct keys *keys, struct keyring *ring, const char *tenant, int64_t now, struct err *ret_why,
	struct err *err)
{
	CLEANUP(free_earlier) struct earlier *earlier = NULL;
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	struct leaf generation;
	int failed;

	*ret = NULL;
	*ret_why = (struct err){ 0 };
	if (config_int(keys->config, SET_ARCHIVES_REUSE_DAYS) == 0)
		return 0;
	if (db_query(ring->db, &QUERY_ARCHIVE_EARLIER, DB_PARAMS(tenant), &rows, err) != 0)
		return -1;
	if (db_rows(rows) == 0)
		return 0;
	earlier = mem_zero(1, sizeof(*earlier));
	earlier->fd = -1;
	failed = find_generation(ring, tenant, db_get_text(rows, 0, E_ID), &generation, ret_why) != 0 ||
		take(earlier, keys, rows, &generation, now, ret_why) != 0;
	leaf_wipe(&generation, 1);
	if (failed) {
		(void)err_prefix(ret_why, "archive %.16s", db_get_text(rows, 0, E_ID));
		return 0;
	}
	if (earlier->n_frames > 0)
		*ret = TAKE_PTR(earlier);
	else if (earlier->n_away > 0)
		(void)err_set(ret_why, ERR_FAILED, "%zu earlier archives are not whole in every directory", earlier->n_away);
	return 0;
}

/* ---- what has not changed ----------------------------------------------------------------------- */

static bool
same_table(const struct archive_table *a, const struct archive_table *b)
{
	if (strcmp(a->name, b->name) != 0 || a->n_columns != b->n_columns)
		return false;
	for (size_t i = 0; i < a->n_columns; i++)
		if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || strcmp(a->columns[i].type, b->columns[i].type) != 0)
			return false;
	return true;
}

bool
earlier_has_tables(struct earlier *earlier, const struct archive_writer *writer)
{
	size_t n;
	const struct archive_table *tables = archive_writer_tables(writer, &n);

	if (archive_tables(earlier->archive) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!same_table(archive_table(earlier->archive, i), &tables[i]))
			return false;
	return true;
}

static const struct frame_place *
first_of(const struct earlier *earlier, int64_t leaf)
{
	size_t low = 0, high = earlier->n_frames;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (earlier->frames[middle].leaf < leaf)
			low = middle + 1;
		else
			high = middle;
	}
	return &earlier->frames[low];
}

/* 1; 0: the writer has no room for one more file. */
static int
number_of(struct lying *lying, struct archive_writer *writer, struct err *err)
{
	size_t n;

	if (lying->number > 0)
		return 1;
	(void)archive_writer_files(writer, &n);
	if (n >= REFER_MAX)
		return 0;
	return archive_write_file(writer, &lying->file, &lying->number, err) != 0 ? -1 : 1;
}

int
earlier_find(struct earlier *earlier, struct archive_writer *writer, int64_t leaf, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t tag[ARCHIVE_TAG_SIZE], struct archive_reference *ret, struct err *err)
{
	const struct frame_place *end = earlier->frames + earlier->n_frames;
	enum archive_verdict verdict;

	for (const struct frame_place *place = first_of(earlier, leaf); place < end && place->leaf == leaf; place++) {
		struct archive_frame *frame = &ret->frame;
		bool authentic = false;
		int rc;

		if (archive_frame(earlier->archive, place->number, frame, &verdict, err) != 0)
			return -1;
		if (memcmp(frame->tag, tag, ARCHIVE_TAG_SIZE) != 0)
			continue;
		if (archive_frame_key(earlier->archive, frame, leaf_key, earlier->frame_key, &authentic, err) != 0)
			return -1;
		rc = authentic ? number_of(&earlier->files[frame->file], writer, err) : 0;
		if (rc <= 0)
			return rc;
		frame->file = earlier->files[frame->file].number;
		ret->leaf_key = leaf_key;
		ret->frame_key = earlier->frame_key;
		return 1;
	}
	return 0;
}
