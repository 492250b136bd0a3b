/*
 * publish: committed certificates as files of certificate_directory: NNNNNNNN-<id>.note, and its SSHSIG sidecar
 * .note.sig. Files are durable before the database says that they are there.
 */
#ifndef EXPUNGE_ERASURE_PUBLISH_H
#define EXPUNGE_ERASURE_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "erasure/run.h"

/* A signed note that is to become files. */
struct publish_note {
	int64_t serial;
	char id[33];
	char *note;
	size_t n, n_text; /* bytes; of the whole, and of the signed text that it begins with */
};

struct publish {
	struct publish_note *notes;
	size_t n;
};

/* Adds one, and takes the text out of `note`. */
void publish_add(struct publish *publish, int64_t serial, const char *id, struct str *note, size_t n_text);
void publish_release(struct publish *publish);

/* Writes what this run has signed and committed, where no journal has to have it first. What cannot be written is left to
 * publish_rest, which says why. */
int publish_signed(struct run *run, const struct publish *publish, struct err *err);
/* Writes every committed certificate up to this serial that has no files yet, after looking whether it is one of ours. A
 * failure is counted and told, and the next run tries again. */
int publish_rest(struct run *run, int64_t serial, struct err *err);

#endif
