/*
 * summed: small text files of ours, outside the database: a line that names the format, "key: value" lines in
 * a fixed order, and at the end "sha256: " with the SHA-256 of all lines before. One that is torn, cut or edited by
 * hand is told from a whole one. The sum is no signature: whoever may write the file can make a good one.
 */
#ifndef EXPUNGE_KEYS_SUMMED_H
#define EXPUNGE_KEYS_SUMMED_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* Adds the last line to a text of the others. */
int summed_end(struct str *text, struct err *err);
/* Takes a file apart: its values, in the order of `keys`, point into *ret_copy, which the caller frees. */
int summed_parse(const char *text, size_t n, const char *format, const char *const *keys, size_t n_keys,
	char **ret_copy, const char **ret_values, struct err *err);

#endif
