/*
 * destination: the places that an archive is written to, side by side. Each goes its own way: one that fails is left
 * behind, and the others finish. What has failed has no file under a final name.
 *
 *     DIRECTORY/archives/INSTANCE/<archive id, hexadecimal>.archive
 *
 * Those that are commands are receivers (receiver.h): they are given what stands here.
 */
#ifndef EXPUNGE_ARCHIVE_DESTINATION_H
#define EXPUNGE_ARCHIVE_DESTINATION_H

#include "archive/read.h"
#include "archive/write.h"
#include "keys/keys.h"

struct destination {
	const char *name;              /* of the configuration */
	const struct journal *journal; /* of the keys, in the same directory */
	char *path;
	int fd;
	char *temporary;
	bool failed, named;
	bool unsure;    /* it could not be looked at: what is there is not known */
	struct err why; /* it has failed, or is unsure */
};

struct destinations {
	const struct keys *keys;
	struct destination *items;
	size_t n;
};

/* Where archives are beside a journal; the caller frees. */
char *destination_folder(const struct journal *journal);
/* One for each directory of the configuration. */
void destinations_init(struct destinations *ret, const struct keys *keys, const uint8_t id[ARCHIVE_ID_SIZE]);
/* Removes what has no final name, and frees. */
void destinations_release(struct destinations *list);
size_t destinations_left(const struct destinations *list);
/* Sets err when none is left: the one reason, or how many there are and the first. */
int destinations_need_one(const struct destinations *list, struct err *err);

/* *ret: where an archive is written to, for all of them; it goes on while one is left. One that is
 * `failed` already is left out. The list must stay where it is. */
int destinations_open(struct destinations *list, struct archive_sink *ret, struct err *err);
/* Every file to its disk, and read back from there: signed, whole, of this hash, and its index opens; that not without a key. */
int destinations_verify(struct destinations *list, const struct archive_summary *summary,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct err *err);
/* The write-ahead rule: an archive gets its name in a place only when the journal of the keys there knows its leaves.
 * ERR_REFUSED: the journal is ahead of the database, which was restored. */
int destinations_journal(struct destinations *list, struct db *db, struct err *err);
/* The final names, durable. */
int destinations_name(struct destinations *list, struct err *err);
/* An archive that is signed, whole, and of this hash. what: how errors call it. */
int destination_open(struct archive **ret, int fd, const char *what, const struct journal *signed_by, const uint8_t hash[SHA256_SIZE],
	struct err *err);
/* Looks for a whole archive of this hash under the final name: `named`, or `failed` and why, or `unsure` besides. */
void destination_look(struct destination *place, const uint8_t hash[SHA256_SIZE]);

#endif
