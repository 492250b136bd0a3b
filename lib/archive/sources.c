#include "archive/sources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/destination.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define OPEN_MAX 64     /* files of directories at a time */
#define FETCHED_MAX 256 /* of commands: all that one archive refers to, for each is a whole archive to be fetched again */

struct source_item {
	struct archive_source source; /* first: open_again is given it */
	bool checked;   /* whole, in the place */
	size_t place;
	uint64_t opened_as; /* the how many-th opening of any; for the one that is closed when there are too many */
	struct err why; /* it cannot be used */
};

static int open_again(void *ctx, struct archive_source *source, struct err *err);

static struct source_item *
item_of(struct sources *sources, const struct archive_file *file)
{
	struct source_item *item;

	for (size_t i = 0; i < sources->n; i++)
		if (memcmp(sources->items[i]->source.file.id, file->id, ARCHIVE_ID_SIZE) == 0)
			return sources->items[i];
	item = mem_zero(1, sizeof(*item));
	item->source = (struct archive_source){ .file = *file, .fd = -1, .open = open_again, .ctx = sources };
	*MEM_PUSH(sources->items, sources->n) = item; /* NOLINT(bugprone-sizeof-expression): pointers, as meant */
	return item;
}

/* ---- places ------------------------------------------------------------------------------------- */

struct source_place {
	char *folder;                    /* of a directory */
	const struct receiver *receiver; /* of a command that gives back what it was given */
	const struct journal *signed_by;
};

void
sources_init(struct sources *ret, const struct keys *keys, bool (*stop)(void))
{
	*ret = (struct sources){ .keys = keys, .stop = stop };
}

void
sources_look_in(struct sources *sources, const struct journal *journal)
{
	struct source_place *place = MEM_PUSH(sources->places, sources->n_places);

	place->folder = destination_folder(journal);
	place->signed_by = journal;
}

void
sources_look_with(struct sources *sources, const struct receiver *receiver)
{
	struct source_place *place;

	if (receiver_program(receiver, RECEIVER_FETCH) == NULL)
		return;
	place = MEM_PUSH(sources->places, sources->n_places);
	place->receiver = receiver;
	place->signed_by = &sources->keys->journals[0];
}

static int
open_file(const struct sources *sources, const struct source_place *place, const struct archive_file *file, struct err *err)
{
	char id[2 * ARCHIVE_ID_SIZE + 1];
	CLEANUP(free_text) char *path = NULL;
	int fd = -1;

	bytes_to_hex(file->id, ARCHIVE_ID_SIZE, id);
	if (place->receiver != NULL)
		return receiver_fetch(place->receiver, sources->keys->config, id, file->size, sources->stop, &fd, err) != 0 ? -1 : fd;
	path = mem_printf("%s/%s.archive", place->folder, id);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 ? fd : err_sys(err, "opening %s", path);
}

/* ---- one file ----------------------------------------------------------------------------------- */

/* A descriptor of a file that is what the archive that refers to it says, to its last byte; -1. */
static int
open_whole(const struct sources *sources, const struct source_place *place, const struct archive_file *file, struct err *err)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	int fd = open_file(sources, place, file, err);

	if (fd >= 0 && destination_open(&archive, fd, place->receiver != NULL ? "what came back" : place->folder, place->signed_by, file->hash, err) == 0 &&
	    memcmp(archive_header(archive)->id, file->id, ARCHIVE_ID_SIZE) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool
is_fetched(const struct sources *sources, const struct source_item *item)
{
	return sources->places[item->place].receiver != NULL;
}

/* One more: the one that was opened longest ago may have to go. */
static void
note_open(struct sources *sources, struct source_item *item, int fd)
{
	struct source_item *oldest = NULL;
	bool fetched = is_fetched(sources, item);
	size_t n = 0;

	for (size_t i = 0; i < sources->n; i++) {
		struct source_item *other = sources->items[i];

		if (other->source.fd < 0 || is_fetched(sources, other) != fetched)
			continue;
		n++;
		if (oldest == NULL || other->opened_as < oldest->opened_as)
			oldest = other;
	}
	if (n >= (fetched ? FETCHED_MAX : OPEN_MAX)) {
		(void)close(oldest->source.fd);
		oldest->source.fd = -1;
	}
	item->source.fd = fd;
	item->opened_as = ++sources->n_openings;
}

/* For struct archive_source: again, what has been checked. Its frames open only as they were written. */
static int
open_again(void *ctx, struct archive_source *source, struct err *err)
{
	struct sources *sources = ctx;
	struct source_item *item = (struct source_item *)(void *)source;
	int fd = open_file(sources, &sources->places[item->place], &source->file, err);

	if (fd < 0)
		return -1;
	note_open(sources, item, fd);
	return 0;
}

static void
find(struct sources *sources, struct source_item *item)
{
	char id[2 * ARCHIVE_ID_SIZE + 1];
	int fd = -1;

	if (item->checked || item->why.code != ERR_NONE)
		return;
	for (size_t i = 0; i < sources->n_places && fd < 0; i++) {
		fd = open_whole(sources, &sources->places[i], &item->source.file, &item->why);
		item->place = i;
	}
	item->checked = fd >= 0;
	if (item->checked) {
		note_open(sources, item, fd);
		return;
	}
	bytes_to_hex(item->source.file.id, ARCHIVE_ID_SIZE, id);
	if (item->why.code == ERR_NONE)
		(void)err_set(&item->why, ERR_FAILED, "there is no place to look for it");
	(void)err_prefix(&item->why, "archive %.16s, where some of its rows lie", id);
}

static int
attach(struct sources *sources, struct archive *archive, size_t number, struct err *err)
{
	struct source_item *item = item_of(sources, archive_file(archive, number - 1));

	find(sources, item);
	if (!item->checked) {
		*err = item->why;
		return -1;
	}
	archive_attach(archive, number, &item->source);
	return 0;
}

int
sources_attach(struct sources *sources, struct archive *archive, struct err *err)
{
	for (size_t i = 1; i <= archive_files(archive); i++)
		if (attach(sources, archive, i, err) != 0)
			return -1;
	return 0;
}

int
sources_attach_frame(struct sources *sources, struct archive *archive, const struct archive_frame *frame, struct err *err)
{
	return frame->file == 0 ? 0 : attach(sources, archive, frame->file, err);
}

void
sources_attach_itself(struct sources *sources, struct archive *archive)
{
	struct archive_file file = { .size = archive_size(archive) };
	struct source_item *item;

	(void)memcpy(file.id, archive_header(archive)->id, ARCHIVE_ID_SIZE);
	(void)memcpy(file.hash, archive_hash(archive), SHA256_SIZE);
	item = item_of(sources, &file);
	item->checked = true;
	archive_attach(archive, 0, &item->source);
}

void
sources_release(struct sources *sources)
{
	for (size_t i = 0; i < sources->n; i++) {
		if (sources->items[i]->source.fd >= 0)
			(void)close(sources->items[i]->source.fd);
		free(sources->items[i]->source.opened);
		free(sources->items[i]);
	}
	for (size_t i = 0; i < sources->n_places; i++)
		free(sources->places[i].folder);
	free(sources->items);
	free(sources->places);
	*sources = (struct sources){ 0 };
}
