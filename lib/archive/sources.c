#include "archive/sources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/destination.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

struct source_item {
	struct archive_source source;
	struct err why; /* it cannot be used */
};

static struct source_item *
item_of(struct sources *sources, const struct archive_file *file)
{
	struct source_item *item;

	for (size_t i = 0; i < sources->n; i++)
		if (memcmp(sources->items[i]->source.file.id, file->id, ARCHIVE_ID_SIZE) == 0)
			return sources->items[i];
	item = mem_zero(1, sizeof(*item));
	item->source.file = *file;
	item->source.fd = -1;
	*MEM_PUSH(sources->items, sources->n) = item;
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

static void
find(struct sources *sources, struct source_item *item)
{
	struct archive_source *source = &item->source;
	char id[2 * ARCHIVE_ID_SIZE + 1];

	if (source->fd >= 0 || item->why.code != ERR_NONE)
		return;
	for (size_t i = 0; i < sources->n_places && source->fd < 0; i++)
		source->fd = open_whole(sources, &sources->places[i], &source->file, &item->why);
	bytes_to_hex(source->file.id, ARCHIVE_ID_SIZE, id);
	if (source->fd < 0)
		(void)err_prefix(&item->why, "archive %.16s, where some of its rows lie", id);
}

static int
attach(struct sources *sources, struct archive *archive, size_t number, struct err *err)
{
	struct source_item *item = item_of(sources, archive_file(archive, number - 1));

	find(sources, item);
	if (item->source.fd < 0) {
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

	(void)memcpy(file.id, archive_header(archive)->id, ARCHIVE_ID_SIZE);
	(void)memcpy(file.hash, archive_hash(archive), SHA256_SIZE);
	archive_attach(archive, 0, &item_of(sources, &file)->source);
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
