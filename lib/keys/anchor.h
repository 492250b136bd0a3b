/*
 * anchor: a small file outside the database that remembers how far this installation has come. Database, anchor and
 * journal are compared at each run: a restored or cloned database, or a root store rolled back, shows.
 */
#ifndef EXPUNGE_KEYS_ANCHOR_H
#define EXPUNGE_KEYS_ANCHOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define ANCHOR_CHECKPOINT_MAX 1000

struct anchor {
	char instance[37];
	int64_t epoch, key_seq; /* 0 and more */
	char *checkpoint;       /* the last one signed, one line; NULL: none yet */
	char nonce[33];         /* of the last run: 32 lower-case hexadecimal digits */
	int64_t timeline;       /* of the database server, 1 and more */
};

/* clang-format off */
#define ANCHOR_INIT { .epoch = 0 }
/* clang-format on */

enum anchor_verdict {
	ANCHOR_PRESENT,
	ANCHOR_ABSENT,     /* its directory is there, and the file is not */
	ANCHOR_ALTERED,    /* not what anchor_write wrote */
	ANCHOR_FOREIGN,    /* a whole one, of another instance; *ret holds it */
	ANCHOR_UNAVAILABLE /* the directory is missing, or the file cannot be read: nothing is known */
};

void anchor_release(struct anchor *anchor);
/* The file's text, added to ret; an anchor that could not be read back is refused. */
int anchor_format(const struct anchor *anchor, struct str *ret, struct err *err);
/* Refuses every text that anchor_format does not make. Pure. */
int anchor_parse(const char *text, size_t n, struct anchor *ret, struct err *err);

/* 0: *ret is this instance's anchor. -1: err says what a person must do; *ret_verdict tells the four cases apart. */
int anchor_read(const char *path, const char *instance, struct anchor *ret, enum anchor_verdict *ret_verdict,
	struct err *err);
/* Replaces the file, durably: after a kill it is the old one or the new one. */
int anchor_write(const char *path, const struct anchor *anchor, struct err *err);

#endif
