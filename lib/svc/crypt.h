/*
 * crypt: the only file that speaks OpenSSL (3.0 EVP). Every return value is checked.
 */
#ifndef EXPUNGE_SVC_CRYPT_H
#define EXPUNGE_SVC_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define SHA256_SIZE 32
#define AES256_KEY_SIZE 32
#define GCM_NONCE_SIZE 12
#define GCM_TAG_SIZE 16
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
/* 16 random bytes as 32 lower-case hexadecimal digits. */
int crypt_token(char text[33], struct err *err);

int crypt_sha256(const void *bytes, size_t n, uint8_t ret[SHA256_SIZE], struct err *err);
/* Streams; follows symbolic links, so that /proc/self/exe can be given. */
int crypt_sha256_file(const char *path, uint8_t ret[SHA256_SIZE], struct err *err);
/* "sha256:<64 hex digits>" of bytes, text[72]. */
int crypt_sha256_text(const void *bytes, size_t n, char *text, struct err *err);
/* The same of bytes that come one after the other. After _end nothing may be added. */
struct digest;
int crypt_digest_begin(struct digest **ret, struct err *err);
int crypt_digest_add(struct digest *digest, const void *bytes, size_t n, struct err *err);
int crypt_digest_end(struct digest *digest, uint8_t ret[SHA256_SIZE], struct err *err);
void crypt_digest_free(struct digest *digest);
int crypt_hmac_sha256(const struct secret *key, const void *bytes, size_t n,
	uint8_t ret[SHA256_SIZE], struct err *err);

/* HKDF-Expand with SHA-256 (RFC 5869 section 2.3): n <= 8160 bytes from a key that is random already and a purpose.
 * On failure nothing of ret is to be used. */
int crypt_hkdf_expand(const uint8_t *key, size_t n_key, const void *info, size_t n_info, uint8_t *ret, size_t n,
	struct err *err);

/* What crypt_gcm_seal and crypt_gcm_open are given besides the text: AES-256-GCM (NIST SP 800-38D), a nonce of
 * 96 bits, additional data that is authenticated but not hidden. A key seals once under one nonce. */
struct gcm {
	const uint8_t *key;   /* AES256_KEY_SIZE */
	const uint8_t *nonce; /* GCM_NONCE_SIZE */
	const void *aad;
	size_t n_aad;
};

/* Writes n + GCM_TAG_SIZE bytes. */
int crypt_gcm_seal(const struct gcm *gcm, const void *text, size_t n, uint8_t *ret, struct err *err);
/* n bytes with the tag; writes n - GCM_TAG_SIZE. *ret_authentic false: not sealed under these, or altered since, and
 * ret is wiped. -1 only when it could not be tried. */
int crypt_gcm_open(const struct gcm *gcm, const uint8_t *sealed, size_t n, uint8_t *ret, bool *ret_authentic,
	struct err *err);

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
