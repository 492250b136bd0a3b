#include "archive/copy.h"

#include <fcntl.h>
#include <unistd.h>

#include "archive/backup_private.h"
#include "archive/receiver.h"
#include "base/bytes.h"
#include "base/cleanup.h"

/* One that is being looked for. */
struct looking {
	struct archive_copy *copy;
	const struct keys *keys;
	const struct archive_copy_name *name;
	uint8_t id[ARCHIVE_ID_SIZE], hash[SHA256_SIZE];
	bool (*stop)(void);
	struct str *notes;
};

static int
fetch(struct looking *looking, const struct receiver *receiver, struct err *err)
{
	int fd;

	if (receiver_fetch(receiver, looking->keys->config, looking->name->id, looking->name->size, looking->stop, &fd, err) != 0)
		return -1;
	if (destination_open(&looking->copy->archive, fd, "what came back", &looking->keys->journals[0], looking->hash, err) != 0) {
		(void)close(fd);
		return -1;
	}
	looking->copy->fd = fd;
	return 0;
}

/* What a command gives back, where no directory has it. */
static int
find_fetched(struct looking *looking, struct err *err)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(looking->keys->config, i)) != NULL; i++) {
		struct err why = { 0 };

		if (!backup_is_listed(receiver_name(receiver), looking->name->destinations))
			continue;
		if (receiver_program(receiver, RECEIVER_FETCH) == NULL)
			str_addf(looking->notes, "destination %s: it has no fetch command: what is there cannot be read back\n", receiver_name(receiver));
		else if (fetch(looking, receiver, &why) == 0)
			return 0;
		else
			str_addf(looking->notes, "destination %s: %s\n", receiver_name(receiver), why.msg);
	}
	return err_set(err, ERR_FAILED, "no destination has a whole copy of it");
}

static int
open_in_place(struct looking *looking, const struct destination *place, struct err *err)
{
	int fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, "opening %s", place->path);
	if (destination_open(&looking->copy->archive, fd, place->path, place->journal, looking->hash, err) != 0) {
		(void)close(fd);
		return -1;
	}
	looking->copy->fd = fd;
	return 0;
}

/* The first copy that is whole. */
static int
find_copy(struct looking *looking, struct err *err)
{
	CLEANUP(destinations_release) struct destinations places = { 0 };

	destinations_init(&places, looking->keys, looking->id);
	for (size_t i = 0; i < places.n; i++) {
		struct err why = { 0 };

		if (!backup_is_listed(places.items[i].name, looking->name->destinations))
			continue;
		if (open_in_place(looking, &places.items[i], &why) == 0)
			return 0;
		str_addf(looking->notes, "destination %s: %s\n", places.items[i].name, why.msg);
	}
	return find_fetched(looking, err);
}

/* For files that the archive refers to: each from wherever it is whole. */
static void
look_everywhere(struct sources *sources, const struct keys *keys, bool (*stop)(void))
{
	const struct receiver *receiver;

	sources_init(sources, keys, stop);
	for (size_t i = 0; i < keys->n_journals; i++)
		sources_look_in(sources, &keys->journals[i]);
	for (size_t i = 0; (receiver = receiver_at(keys->config, i)) != NULL; i++)
		sources_look_with(sources, receiver);
}

int
archive_copy_open(struct archive_copy *ret, const struct keys *keys, const struct archive_copy_name *name,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], bool (*stop)(void), struct str *notes, struct err *err)
{
	struct looking looking = { .copy = ret, .keys = keys, .name = name, .stop = stop, .notes = notes };
	enum archive_verdict verdict;

	if (bytes_from_hex(name->id, looking.id, sizeof(looking.id)) != 0 || bytes_from_hex(name->hash, looking.hash, sizeof(looking.hash)) != 0)
		return err_set(err, ERR_FAILED, "its row in the catalogue is malformed");
	look_everywhere(&ret->sources, keys, stop);
	if (find_copy(&looking, err) != 0 || archive_unlock(ret->archive, generation_key, &verdict, err) != 0)
		return -1;
	return sources_attach(&ret->sources, ret->archive, err);
}

void
archive_copy_close(struct archive_copy *copy)
{
	archive_close(copy->archive);
	sources_release(&copy->sources);
	if (copy->fd >= 0)
		(void)close(copy->fd);
	*copy = (struct archive_copy)ARCHIVE_COPY_INIT;
}
