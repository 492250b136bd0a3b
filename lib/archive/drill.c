#include "archive/drill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/destination.h"
#include "archive/format.h"
#include "archive/sources.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"

#define ENDING ".archive"

/* An archive that may be taken. */
struct candidate {
	char *path;
	struct archive_header header; /* not checked yet */
	bool known, lives;            /* its generation, by the journal */
	char *tenant;
};

/* Where a leaf is, by the newest of its rows. */
struct leaf_place {
	int64_t id, page;
	size_t order; /* in which it was read: from the newest segment back */
	int slot;
	bool lives, is_subject;
};

struct drill {
	const struct keys *keys;
	const struct journal *journal;
	struct candidate *candidates;
	size_t n;
	const struct candidate *taken;
	struct tree tree;     /* pages of its tenant, and the directory's */
	struct leaf_place *places; /* leaves of its tenant, by id */
	size_t n_places;
	struct sources sources; /* what archives beside it may refer to */
};

static void
release(struct drill *drill)
{
	for (size_t i = 0; i < drill->n; i++) {
		free(drill->candidates[i].path);
		free(drill->candidates[i].tenant);
	}
	free(drill->candidates);
	free(drill->places);
	tree_release(&drill->tree);
	sources_release(&drill->sources);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static void
close_directory(DIR **directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

/* ---- which ones there are ------------------------------------------------------------------------ */

static int
random_below(uint64_t n, uint64_t *ret, struct err *err)
{
	uint64_t number;

	if (crypt_random((uint8_t *)&number, sizeof(number), err) != 0)
		return -1;
	*ret = number % n;
	return 0;
}

/* Each of the directory's archives is as likely to be kept as any other. */
static int
keep(struct drill *drill, const char *folder, const char *name, uint64_t seen, struct err *err)
{
	struct candidate *candidate;
	uint64_t at = drill->n;

	if (drill->n == DRILL_CANDIDATES && random_below(seen, &at, err) != 0)
		return -1;
	if (at >= DRILL_CANDIDATES)
		return 0;
	candidate = at < drill->n ? &drill->candidates[at] : MEM_PUSH(drill->candidates, drill->n);
	free(candidate->path);
	candidate->path = file_join(folder, name);
	return 0;
}

static int
list_archives(struct drill *drill, struct err *err)
{
	CLEANUP(free_text) char *folder = destination_folder(drill->journal);
	CLEANUP(close_directory) DIR *directory = opendir(folder);
	uint64_t seen = 0;

	if (directory == NULL)
		return errno == ENOENT ? 0 : err_sys(err, "opening directory %s", folder);
	for (;;) {
		const struct dirent *entry;
		size_t n;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, "reading directory %s", folder);
		n = strlen(entry->d_name);
		if (entry->d_name[0] == '.' || n < sizeof(ENDING) || strcmp(entry->d_name + n - strlen(ENDING), ENDING) != 0)
			continue;
		if (keep(drill, folder, entry->d_name, ++seen, err) != 0)
			return -1;
	}
}

/* Leaves those whose header can be read. */
static void
read_headers(struct drill *drill)
{
	size_t kept = 0;

	for (size_t i = 0; i < drill->n; i++) {
		struct candidate *candidate = &drill->candidates[i];
		CLEANUP(close_fd) int fd = open(candidate->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		uint8_t bytes[FORMAT_HEADER_SIZE];

		if (fd >= 0 && file_read_all(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) &&
		    format_header_decode(bytes, &candidate->header) == 0)
			drill->candidates[kept++] = *candidate;
		else
			free(candidate->path);
	}
	drill->n = kept;
}

/* ---- what the journal says ----------------------------------------------------------------------- */

static int
find_generations(void *ctx, struct journal_row *row, struct err *err)
{
	struct drill *drill = ctx;

	(void)err;
	if (row->kind != JOURNAL_LEAF || strcmp(row->leaf.kind, "generation") != 0)
		return 0;
	for (size_t i = 0; i < drill->n; i++) {
		struct candidate *candidate = &drill->candidates[i];

		if (candidate->header.generation != row->leaf.id || candidate->known)
			continue;
		candidate->known = true;
		candidate->lives = row->leaf.shredded_epoch == 0;
		candidate->tenant = mem_copy(row->leaf.tenant);
	}
	return 0;
}

static int
take_tenant(void *ctx, struct journal_row *row, struct err *err)
{
	struct drill *drill = ctx;
	const char *tenant = drill->taken->tenant;
	struct leaf_place *place;

	(void)err;
	if (row->kind == JOURNAL_PAGE && (row->page.tenant[0] == '\0' || strcmp(row->page.tenant, tenant) == 0))
		(void)tree_load(&drill->tree, &row->page);
	if (row->kind != JOURNAL_LEAF || strcmp(row->leaf.tenant, tenant) != 0)
		return 0;
	place = MEM_PUSH(drill->places, drill->n_places);
	*place = (struct leaf_place){ .id = row->leaf.id, .page = row->leaf.page, .order = drill->n_places, .slot = row->leaf.slot,
		.lives = row->leaf.shredded_epoch == 0, .is_subject = strcmp(row->leaf.kind, "subject") == 0 };
	return 0;
}

/* The whole journal from its newest segment back, so that of several rows the one that counts comes first. */
static int
read_back(struct drill *drill, int (*each)(void *ctx, struct journal_row *row, struct err *err), struct err *err)
{
	struct journal_head head;
	int64_t base, last;

	if (journal_chain(drill->journal, &base, &last, err) != 0)
		return -1;
	for (int64_t segment = last; segment >= base; segment--)
		if (journal_read(drill->journal, segment, each, drill, &head, err) != 0)
			return -1;
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct leaf_place *one = a, *other = b;

	if (one->id != other->id)
		return one->id < other->id ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

/* The root that the journal ends with. */
static int
read_root(struct drill *drill, struct err *err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	enum root_verdict verdict;
	struct journal_head head;
	bool found;

	if (journal_head(drill->journal, &head, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, ERR_FAILED, "there is no key journal in %s", drill->journal->directory);
	if (root_read(drill->keys->store, &head.header.root, &root, &verdict, NULL, err) != 0)
		return -1;
	tree_init(&drill->tree, drill->keys->instance, head.header.root.epoch, root.bytes);
	return 0;
}

static int
open_tree(struct drill *drill, struct err *err)
{
	if (read_root(drill, err) != 0 || read_back(drill, take_tenant, err) != 0)
		return -1;
	if (drill->n_places > 0)
		qsort(drill->places, drill->n_places, sizeof(*drill->places), by_id);
	return 0;
}

static const struct leaf_place *
find_place(const struct drill *drill, int64_t id)
{
	size_t low = 0, high = drill->n_places;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (drill->places[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < drill->n_places && drill->places[low].id == id ? &drill->places[low] : NULL;
}

/* ---- the archive --------------------------------------------------------------------------------- */

/* For struct archive_reading. */
static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	struct drill *drill = ctx;
	const struct leaf_place *place = find_place(drill, leaf);

	if (place == NULL || !place->lives)
		return 0;
	return tree_key(&drill->tree, &(struct tree_slot){ place->page, place->slot }, ret_key, err) != 0 ? -1 : 1;
}

/* The first frame, from one taken by chance, of a patient who lives; in an archive that has none, somebody else's. */
static int
read_one_frame(struct drill *drill, struct archive *archive, struct err *err)
{
	const struct archive_reading reading = { .key = give_key, .ctx = drill };
	uint64_t n = archive_frames(archive), start;
	struct archive_tally tally = { 0 };
	struct archive_frame frame, other;
	enum archive_verdict verdict;
	bool is_other = false;

	if (n == 0)
		return 0;
	if (random_below(n, &start, err) != 0)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		const struct leaf_place *place;

		if (archive_frame(archive, (start + i) % n, &frame, &verdict, err) != 0)
			return -1;
		place = find_place(drill, frame.leaf);
		if (place == NULL || !place->lives)
			continue;
		if (place->is_subject)
			return sources_attach_frame(&drill->sources, archive, &frame, err) != 0 ? -1
				: archive_read_frame(archive, &frame, &reading, &tally, &verdict, err);
		other = frame;
		is_other = true;
	}
	if (!is_other)
		return 0;
	return sources_attach_frame(&drill->sources, archive, &other, err) != 0 ? -1
		: archive_read_frame(archive, &other, &reading, &tally, &verdict, err);
}

static int
open_taken(struct drill *drill, struct archive *archive, struct err *err)
{
	uint8_t key[ARCHIVE_KEY_SIZE];
	enum archive_verdict verdict;
	int failed;

	failed = open_tree(drill, err) != 0 || give_key(drill, archive_header(archive)->generation, key, err) != 1 ||
		archive_unlock(archive, key, &verdict, err) != 0 || read_one_frame(drill, archive, err) != 0;
	secret_wipe(key, sizeof(key));
	return failed ? err_prefix(err, "with key journal and root alone, %s", drill->taken->path) : 0;
}

/* 1: it was read; 0: it is damaged, and *err says how. */
static int
try_candidate(struct drill *drill, const struct candidate *candidate, struct err *err)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(close_fd) int fd = open(candidate->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	enum archive_verdict verdict;

	if (fd < 0) {
		(void)err_sys(err, "opening %s", candidate->path);
		return 0;
	}
	if (archive_open(&archive, fd, &drill->journal->public, 1, &verdict, err) != 0) {
		(void)err_prefix(err, "%s", candidate->path);
		return 0;
	}
	if (!candidate->known)
		return err_set(err, ERR_FAILED, "%s: the key journal beside it does not know its generation", candidate->path);
	drill->taken = candidate;
	return open_taken(drill, archive, err) != 0 ? -1 : 1;
}

static int
drill_one(struct drill *drill, void (*opened)(const char *path, int64_t created), struct err *err)
{
	size_t n_damaged = 0;

	if (list_archives(drill, err) != 0)
		return -1;
	read_headers(drill);
	if (drill->n == 0)
		return 0;
	if (read_back(drill, find_generations, err) != 0)
		return -1;
	for (size_t i = 0; i < drill->n; i++) {
		int read;

		if (drill->candidates[i].known && !drill->candidates[i].lives)
			continue;
		read = try_candidate(drill, &drill->candidates[i], err);
		if (read > 0 && opened != NULL)
			opened(drill->taken->path, drill->taken->header.created);
		if (read != 0)
			return read > 0 ? 0 : -1;
		n_damaged += drill->candidates[i].known;
	}
	if (n_damaged > 0)
		return err_prefix(err, "none of %zu archives could be read; the last", n_damaged);
	return 0;
}

int
archive_drill(const struct keys *keys, void (*opened)(const char *path, int64_t created), struct err *err)
{
	for (size_t i = 0; i < keys->n_journals; i++) {
		CLEANUP(release) struct drill drill = { .keys = keys, .journal = &keys->journals[i] };
		struct err why = { 0 };

		sources_init(&drill.sources, keys, NULL);
		sources_look_in(&drill.sources, &keys->journals[i]);
		if (drill_one(&drill, opened, &why) != 0) {
			*err = why;
			return -1;
		}
	}
	return 0;
}
