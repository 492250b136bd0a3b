/*
 * crypt: the only file that speaks OpenSSL (3.0 EVP). Every return value is checked.
 */
#ifndef EXPUNGE_SVC_CRYPT_H
#define EXPUNGE_SVC_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define SHA256_SIZE 32
#define ED25519_KEY_SIZE 32
#define ED25519_SIGNATURE_SIZE 64

/* Once, before the first secret: OpenSSL's secure heap, memory kept out of swap, no core dumps.
 * What the machine does not allow is not fatal: *ret_warning gets a sentence for the log (static
 * text), NULL when all is well. */
int crypt_start(const char **ret_warning, struct err *err);

/* n bytes from the CSPRNG (RAND_priv_bytes for secrets); failure is an error, never ignored. */
int crypt_random(uint8_t *ret, size_t n, struct err *err);
/* 16 random bytes as a version-4 UUID, text[37]. */
int crypt_uuid(char *text, struct err *err);

int crypt_sha256(const void *bytes, size_t n, uint8_t ret[SHA256_SIZE], struct err *err);
/* Streams; follows symbolic links, so that /proc/self/exe can be given. */
int crypt_sha256_file(const char *path, uint8_t ret[SHA256_SIZE], struct err *err);
/* "sha256:<64 hex digits>" of bytes, text[72]. */
int crypt_sha256_text(const void *bytes, size_t n, char *text, struct err *err);
int crypt_hmac_sha256(const struct secret *key, const void *bytes, size_t n,
	uint8_t ret[SHA256_SIZE], struct err *err);

/* Ed25519 (RFC 8032). The signing key is opaque, and wiped when freed. */
struct signer;
int crypt_signer_generate(struct signer **ret, struct err *err);
/* PKCS#8 PEM, unencrypted, of a key made by crypt_signer_generate or openssl(1). pem is wiped by the
 * caller. An encrypted key is refused, nobody is asked for a passphrase. */
int crypt_signer_from_pem(struct signer **ret, const char *pem, size_t n, struct err *err);
int crypt_signer_to_pem(const struct signer *signer, struct secret *ret_pem, struct err *err);
/* SubjectPublicKeyInfo PEM for openssl(1); the caller frees. */
int crypt_signer_public_pem(const struct signer *signer, char **ret, struct err *err);
int crypt_signer_public(const struct signer *signer, uint8_t ret[ED25519_KEY_SIZE], struct err *err);
/* The signature is verified before it is handed out. */
int crypt_sign(const struct signer *signer, const void *bytes, size_t n,
	uint8_t ret[ED25519_SIGNATURE_SIZE], struct err *err);
void crypt_signer_free(struct signer *signer);
void crypt_signer_freep(struct signer **signer);

/* 0: the signature is good. -1 with ERR_FAILED: it is not, or could not be checked. */
int crypt_verify(const uint8_t key[ED25519_KEY_SIZE], const void *bytes, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE], struct err *err);
/* The raw public key of a SubjectPublicKeyInfo PEM. */
int crypt_public_from_pem(const char *pem, size_t n, uint8_t ret[ED25519_KEY_SIZE], struct err *err);

/* "OpenSSL 3.0.19 27 Jan 2026" */
const char *crypt_version(void);

#endif
