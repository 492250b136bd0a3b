/*
 * issuer: the key that signs certificates, and the two keyed or salted references a certificate
 * makes to people.
 *
 * The key file is an unencrypted PKCS#8 PEM, mode 0600, made once by `expunge init` and never
 * overwritten: certificates that were signed by a lost key stay valid, but nobody can sign another
 * under the same key. Back it up when it is made (README.md).
 */
#ifndef EXPUNGE_EVIDENCE_ISSUER_H
#define EXPUNGE_EVIDENCE_ISSUER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "evidence/note.h"
#include "svc/crypt.h"

#define ISSUER_SALT_SIZE 32
#define ISSUER_REF_SIZE 72   /* "sha256:" and 64 digits and NUL */
#define ISSUER_CHECK_SIZE 33 /* 32 digits and NUL */

struct issuer {
	struct note_key key; /* name and public key */
	struct signer *signer;
};

#define ISSUER_INIT { { NULL, { 0 }, { 0 } }, NULL }

/* Makes a key and its file. An existing file is an error and stays as it is. */
int issuer_create(const char *path, struct err *err);

/* Opens the key of the file under a name (the configuration's issuer.name). Refuses a file that is
 * missing, not ours, or that group or others can read; the hint is the remedy. */
int issuer_open(struct issuer *ret, const char *path, const char *name, struct err *err);

void issuer_release(struct issuer *issuer);

/* The public key for openssl(1); the caller frees. */
int issuer_public_pem(const struct issuer *issuer, char **ret, struct err *err);

/* The public key of an issuer.pem, under a name, for note_open(): needs no private key. */
int issuer_public_key(struct note_key *ret, const char *path, const char *name, struct err *err);

/* The note of a text, signed. */
int issuer_sign(const struct issuer *issuer, struct str *note, const char *text, size_t n, struct err *err);

/* subject-ref: SHA-256 over domain, salt, instance, tenant, request and subject, each preceded by its
 * length, as "sha256:..." into ref[ISSUER_REF_SIZE]. Each text is 1 byte at least. */
int issuer_subject_ref(const uint8_t salt[ISSUER_SALT_SIZE], const char *instance, const char *tenant,
	const char *request, const char *subject, char *ref, struct err *err);

/* An approver's key-check: HMAC-SHA-256 under a key of the installation over domain, instance and
 * login, each preceded by its length; 16 bytes as hexadecimal into check[ISSUER_CHECK_SIZE]. */
int issuer_approver_check(const struct secret *key, const char *instance, const char *login,
	char *check, struct err *err);

#endif
