/*
 * token: keys that never leave a token (a smart card, an HSM); the only file that speaks PKCS#11.
 *
 * A key is AES-256, made on the token, not extractable, and has a name (its label). One that says otherwise of itself was
 * brought in from somewhere else, where it may still be: it seals and opens nothing here.
 *
 * Between token_open and token_close lies a session of its own: module initialized, logged in, and the reverse. So a token
 * that went and came back is found again, a process that is started meanwhile meets no session of ours, and what is asked
 * after a key was destroyed is asked anew. One at a time: a second token_open waits.
 *
 * A PIN is tried once. Whoever is told that it was refused must not try it again: tokens lock themselves.
 */
#ifndef EXPUNGE_SVC_TOKEN_H
#define EXPUNGE_SVC_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define TOKEN_PIN_MAX 255
#define TOKEN_NONCE_SIZE 12
#define TOKEN_TAG_SIZE 16

/* Where a token is: a module, and a label or a serial number (the other is NULL). */
struct token_place {
	char *module, *label, *serial;
	char **environment; /* "NAME=value": what the module reads there */
	size_t n_environment;
};

enum token_key {
	TOKEN_KEY_OURS,
	TOKEN_KEY_ABSENT,
	TOKEN_KEY_SEVERAL, /* of one name */
	TOKEN_KEY_FOREIGN, /* can be taken out, or was brought in */
	TOKEN_KEY_UNKNOWN  /* the token did not answer */
};

struct token_names {
	char **names;
	size_t n;
};

struct token;

/* Puts what modules read into the environment of this process; before there are threads. */
int token_prepare(const struct token_place *place, struct err *err);
/* write: keys are to be made or destroyed. *ret_pin_refused: the token said that the PIN is wrong. */
int token_open(struct token **ret, const struct token_place *place, const struct secret *pin, bool write,
	bool *ret_pin_refused, struct err *err);
void token_close(struct token *token);
void token_closep(struct token **token);

/* err is set unless it is TOKEN_KEY_OURS. */
enum token_key token_look(struct token *token, const char *name, struct err *err);
/* The names of all keys that begin so, ours or not; one of several keys is there several times. */
int token_list(struct token *token, const char *prefix, struct token_names *ret, struct err *err);
void token_names_release(struct token_names *names);
/* A fresh key, looked at before this returns 0. */
int token_make(struct token *token, const char *name, struct err *err);
/* Every key of this name. Those that are not ours stay, which is an error: what they are copies of is not gone. *ret_n: how
 * many went. That they did is for the next session to say. */
int token_destroy(struct token *token, const char *name, size_t *ret_n, struct err *err);

/* What a key seals: AES-256-GCM. Tokens that insist on a nonce of their own write it over the one that they are given. */
struct token_seal {
	uint8_t nonce[TOKEN_NONCE_SIZE];
	const uint8_t *aad;
	size_t n_aad;
};

/* Writes n + TOKEN_TAG_SIZE bytes. */
int token_seal(struct token *token, const char *name, struct token_seal *seal, const uint8_t *text, size_t n, uint8_t *ret,
	struct err *err);
/* n bytes with the tag; *ret gets n - TOKEN_TAG_SIZE. *ret_authentic false: altered since, or sealed under another key. */
int token_unseal(struct token *token, const char *name, const struct token_seal *seal, const uint8_t *sealed, size_t n,
	struct secret *ret, bool *ret_authentic, struct err *err);

#endif
