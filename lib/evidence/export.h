/*
 * export: many certificates into a directory, for the person who must show them.
 *
 *   notes  NNNNNNNN-<id>.note each, with NNNNNNNN-<id>.note.sig for ssh-keygen where one is given
 *   json   certificates.json: an array of one object each, every field and the note itself
 *   csv    certificates.csv (RFC 4180): one row each, the main fields and the note's sha256
 *
 * Every file is complete and durable under its name or absent. A file that is already there with
 * the same bytes is left alone; one with other bytes is an error. Memory is bounded by one certificate.
 */
#ifndef EXPUNGE_EVIDENCE_EXPORT_H
#define EXPUNGE_EVIDENCE_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum export_format { EXPORT_NOTES = 1, EXPORT_JSON, EXPORT_CSV };

/* "notes", "json" or "csv"; ERR_USAGE. */
int export_format_parse(enum export_format *ret, const char *text, struct err *err);

struct export;

/* Makes the directory if it is absent. */
int export_begin(struct export **ret, const char *directory, enum export_format format, struct err *err);

/* Adds one. Serials ascend; the note must be the certificate of this serial and id (its signature is
 * the caller's to verify). sshsig may be NULL. */
int export_add(struct export *export, int64_t serial, const char *id, const char *note, size_t n,
	const char *sshsig, struct err *err);

/* Another file of the same directory, whatever the format: issuer.pem, allowed_signers. */
int export_file(struct export *export, const char *name, const void *bytes, size_t n, struct err *err);

/* Gives certificates.json or .csv its name. Without it nothing of those is left. */
int export_end(struct export *export, struct err *err);

void export_free(struct export *export);
void export_freep(struct export **export);

#endif
