/*
 * note: C2SP signed notes with Ed25519 keys. Pure but for the signature itself.
 *
 *     text LF-terminated, a blank line, then one or more lines
 *     "— <key name> <base64(4-byte key id || 64-byte signature)>"
 *
 * The last blank line parts text from signatures; signed is the text with its final LF.
 */
#ifndef EXPUNGE_EVIDENCE_NOTE_H
#define EXPUNGE_EVIDENCE_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "svc/crypt.h"

#define NOTE_KEY_ID_SIZE 4
#define NOTE_SIZE_MAX 1048576
#define NOTE_SIGNATURES_MAX 100
#define NOTE_NAME_MAX 200

/* A public key under a name. */
struct note_key {
	char *name;
	uint8_t id[NOTE_KEY_ID_SIZE];
	uint8_t key[ED25519_KEY_SIZE];
};

/* 1 to 200 bytes of plain text without "+" and without any Unicode space. */
bool note_name_is_valid(const char *name);
/* Computes the id. *ret is released by the caller. */
int note_key_init(struct note_key *ret, const char *name, const uint8_t key[ED25519_KEY_SIZE],
	struct err *err);
/* The verifier key "name+hexid+base64(0x01||key)" and back; parsing checks the id. */
void note_key_add(struct str *text, const struct note_key *key);
int note_key_parse(struct note_key *ret, const char *text, struct err *err);
void note_key_release(struct note_key *key);

struct note_signer {
	const char *name;
	const struct signer *signer;
};

/* Replaces *note by the signed note of a text: well-formed UTF-8, no control character but LF, not
 * empty, ending with LF. One signature line for each signer, in order. */
int note_sign(struct str *note, const char *text, size_t n, const struct note_signer *signers,
	size_t n_signers, struct err *err);

struct note_signature {
	char *name;
	uint8_t id[NOTE_KEY_ID_SIZE];
	bool verified;   /* by note_open, with keys[key] */
	size_t key;
	uint8_t *bytes;  /* what follows the id */
	size_t n_bytes;
};

struct note {
	char *text; /* what was signed */
	size_t n;
	struct note_signature *signatures;
	size_t n_signatures;
};

#define NOTE_INIT { NULL, 0, NULL, 0 }

/* Takes a note apart and believes nothing: no signature is verified. Anything malformed is an
 * error. *ret is released by the caller; empty on failure. */
int note_parse(struct note *ret, const char *bytes, size_t n, struct err *err);

/* note_parse, then verifies each signature by one of the keys (same name and id). Signatures of
 * unknown keys are kept, not verified; a bad one of a known key, or none of any known key, is an error. */
int note_open(struct note *ret, const char *bytes, size_t n, const struct note_key *keys,
	size_t n_keys, struct err *err);

void note_release(struct note *note);

#endif
