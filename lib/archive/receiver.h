/*
 * receiver: a destination that is a command. It is given an archive's bytes on standard input, and may have another command
 * that gives them back, and one that removes them. It has no key journal, and its exit code is believed: 0 to `store` means
 * that the bytes are stored durably under this id, in the place of whatever was there under it; 0 to `remove`, that there is
 * nothing under it (any more).
 *
 * Commands run without a shell, one or more at a time, and learn nothing but the archive's id: not whose it is.
 */
#ifndef EXPUNGE_ARCHIVE_RECEIVER_H
#define EXPUNGE_ARCHIVE_RECEIVER_H

#include "archive/archive.h"
#include "svc/config.h"

enum receiver_task { RECEIVER_STORE, RECEIVER_FETCH, RECEIVER_REMOVE };

/* A destination of the configuration. */
struct receiver;

/* The n-th of them that is a command; NULL: there are no more. */
const struct receiver *receiver_at(const struct config *config, size_t n);
const char *receiver_name(const struct receiver *receiver);
/* The absolute path of its program; NULL: it has none for this. */
const char *receiver_program(const struct receiver *receiver, enum receiver_task task);
/* That its programs are there, and nobody else's to replace. */
int receiver_check(const struct receiver *receiver, struct err *err);

/* Gives it a file that was verified. Bytes that are not those of this hash never get an end: the command is ended before. */
int receiver_store(const struct receiver *receiver, const char *id, int fd, const uint8_t hash[SHA256_SIZE], bool (*stop)(void),
	struct err *err);
/* *ret_fd: a nameless file in the state directory, of at most `size` bytes, that nobody has looked at yet. */
int receiver_fetch(const struct receiver *receiver, const struct config *config, const char *id, uint64_t size, bool (*stop)(void),
	int *ret_fd, struct err *err);
int receiver_remove(const struct receiver *receiver, const char *id, struct err *err);

#endif
