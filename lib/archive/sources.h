/*
 * sources: the earlier files that archives of one tenant refer to, each found and checked whole once, however many archives
 * refer to it. A few of them are open at a time.
 */
#ifndef EXPUNGE_ARCHIVE_SOURCES_H
#define EXPUNGE_ARCHIVE_SOURCES_H

#include "archive/read.h"
#include "archive/receiver.h"
#include "keys/keys.h"

struct source_place;
struct source_item;

struct sources {
	const struct keys *keys;
	bool (*stop)(void); /* may be NULL */
	struct source_place *places;
	size_t n_places;
	struct source_item **items;
	size_t n;
	uint64_t n_openings;
};

void sources_init(struct sources *ret, const struct keys *keys, bool (*stop)(void));
/* Where to look, in this order; the first whole copy is taken. */
void sources_look_in(struct sources *sources, const struct journal *journal);
void sources_look_with(struct sources *sources, const struct receiver *receiver);
/* Everything that an unlocked archive refers to. -1: the first file that is missing, or is not what the archive says. */
int sources_attach(struct sources *sources, struct archive *archive, struct err *err);
/* Only the file that this frame lies in, if it is another. */
int sources_attach_frame(struct sources *sources, struct archive *archive, const struct archive_frame *frame, struct err *err);
/* The archive itself, which was opened whole in the one place of these sources: it need not be checked again, and which of its
 * frames have been opened is kept, for those that refer to them. */
void sources_attach_itself(struct sources *sources, struct archive *archive);
/* Closes the files, and forgets the places. Archives that they are attached to must be closed before. */
void sources_release(struct sources *sources);

#endif
