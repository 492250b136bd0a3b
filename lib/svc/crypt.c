#include "svc/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define SECURE_HEAP_BYTES ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

struct signer {
	EVP_PKEY *key;
};

static void
free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static void
free_bio(BIO **bio)
{
	(void)BIO_free(*bio);
}

/* The reason that OpenSSL gives, and an empty error queue for the next caller. */
static int
fail(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(err, ERR_FAILED, "%s: %s", what, reason == NULL ? "OpenSSL gives no reason" : reason);
}

/* ---- start --------------------------------------------------------------------------------- */

/* True when locking all memory, of now and later, cannot make an allocation fail half-way. */
static bool
may_lock_memory(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		return true;
	if (syscall(SYS_capget, &header, caps) != 0)
		return false;
	return (caps[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

static bool
forbid_core_dumps(void)
{
	static const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return false;
#ifndef SANITIZED /* the leak sanitizer traces its own process, which this forbids */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return false;
#endif
	return true;
}

int
crypt_start(const char **ret_warning, struct err *err)
{
	int heap;

	*ret_warning = NULL;
	if (!forbid_core_dumps())
		return err_sys(err, "switching core dumps off");
	heap = CRYPTO_secure_malloc_initialized() ? 1 : CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, 32);
	if (heap == 0)
		return fail(err, "setting up the secure heap");
	if (!may_lock_memory())
		*ret_warning = "memory is not locked and keys in use may reach swap: raise the limit (ulimit -l unlimited, "
			       "LimitMEMLOCK=infinity) or encrypt swap";
	else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || heap == 2)
		*ret_warning = "the system refused to lock memory and keys in use may reach swap: encrypt swap";
	return 0;
}

/* ---- random, digests ----------------------------------------------------------------------- */

int
crypt_random(uint8_t *ret, size_t n, struct err *err)
{
	if (n > INT_MAX || RAND_priv_bytes(ret, (int)n) != 1)
		return fail(err, "drawing random bytes");
	return 0;
}

int
crypt_uuid(char *text, struct err *err)
{
	uint8_t raw[16];
	char hex[33];

	if (crypt_random(raw, sizeof(raw), err) != 0)
		return -1;
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	bytes_to_hex(raw, sizeof(raw), hex);
	(void)snprintf(text, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

int
crypt_token(char text[33], struct err *err)
{
	uint8_t raw[16];

	if (crypt_random(raw, sizeof(raw), err) != 0)
		return -1;
	bytes_to_hex(raw, sizeof(raw), text);
	return 0;
}

int
crypt_sha256(const void *bytes, size_t n, uint8_t ret[SHA256_SIZE], struct err *err)
{
	unsigned int got = 0;

	if (EVP_Digest(bytes, n, ret, &got, EVP_sha256(), NULL) != 1 || got != SHA256_SIZE)
		return fail(err, "computing SHA-256");
	return 0;
}

int
crypt_sha256_file(const char *path, uint8_t ret[SHA256_SIZE], struct err *err)
{
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned int got = 0;
	uint8_t block[16384];
	ssize_t n;
	int fd;

	if (context == NULL || EVP_DigestInit_ex2(context, EVP_sha256(), NULL) != 1)
		return fail(err, "computing SHA-256");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "opening %s", path);
	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, "reading %s", path);
			(void)close(fd);
			return -1;
		}
		if (EVP_DigestUpdate(context, block, (size_t)n) != 1)
			break;
	}
	(void)close(fd);
	if (n != 0 || EVP_DigestFinal_ex(context, ret, &got) != 1 || got != SHA256_SIZE)
		return fail(err, "computing SHA-256");
	return 0;
}

struct digest {
	EVP_MD_CTX *context;
};

int
crypt_digest_begin(struct digest **ret, struct err *err)
{
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context == NULL || EVP_DigestInit_ex2(context, EVP_sha256(), NULL) != 1)
		return fail(err, "computing SHA-256");
	*ret = mem_zero(1, sizeof(**ret));
	(*ret)->context = TAKE_PTR(context);
	return 0;
}

int
crypt_digest_add(struct digest *digest, const void *bytes, size_t n, struct err *err)
{
	if (EVP_DigestUpdate(digest->context, bytes, n) != 1)
		return fail(err, "computing SHA-256");
	return 0;
}

int
crypt_digest_end(struct digest *digest, uint8_t ret[SHA256_SIZE], struct err *err)
{
	unsigned int got = 0;

	if (EVP_DigestFinal_ex(digest->context, ret, &got) != 1 || got != SHA256_SIZE)
		return fail(err, "computing SHA-256");
	return 0;
}

void
crypt_digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}

int
crypt_sha256_text(const void *bytes, size_t n, char *text, struct err *err)
{
	uint8_t digest[SHA256_SIZE];

	if (crypt_sha256(bytes, n, digest, err) != 0)
		return -1;
	(void)memcpy(text, "sha256:", 7);
	bytes_to_hex(digest, sizeof(digest), text + 7);
	return 0;
}

int
crypt_hmac_sha256(const struct secret *key, const void *bytes, size_t n, uint8_t ret[SHA256_SIZE], struct err *err)
{
	size_t got = 0;

	/* anybody can compute the hash under an empty key: it would be an unsalted one */
	if (key->n == 0)
		return err_set(err, ERR_FAILED, "computing HMAC-SHA-256: the key is empty");
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->bytes, key->n, bytes, n, ret, SHA256_SIZE, &got) == NULL ||
	    got != SHA256_SIZE)
		return fail(err, "computing HMAC-SHA-256");
	return 0;
}

static void
free_kdf(EVP_KDF **kdf)
{
	EVP_KDF_free(*kdf);
}

static void
free_kdf_context(EVP_KDF_CTX **context)
{
	EVP_KDF_CTX_free(*context);
}

int
crypt_hkdf_expand(const uint8_t *key, size_t n_key, const void *info, size_t n_info, uint8_t *ret, size_t n,
	struct err *err)
{
	CLEANUP(free_kdf) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	CLEANUP(free_kdf_context) EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, n_key),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, n_info),
		OSSL_PARAM_construct_end(),
	};

	if (context == NULL || EVP_KDF_derive(context, ret, n, params) != 1)
		return fail(err, "deriving a key");
	return 0;
}

/* ---- AES-256-GCM --------------------------------------------------------------------------- */

static void
free_cipher(EVP_CIPHER_CTX **context)
{
	EVP_CIPHER_CTX_free(*context);
}

/* A context that has its key, its nonce and all the additional data; NULL. */
static EVP_CIPHER_CTX *
gcm_begin(const struct gcm *gcm, bool seal)
{
	CLEANUP(free_cipher) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n;

	if (context == NULL || gcm->n_aad > INT_MAX ||
	    EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), gcm->key, gcm->nonce, seal ? 1 : 0, NULL) != 1 ||
	    (gcm->n_aad > 0 && EVP_CipherUpdate(context, NULL, &n, gcm->aad, (int)gcm->n_aad) != 1))
		return NULL;
	return TAKE_PTR(context);
}

int
crypt_gcm_seal(const struct gcm *gcm, const void *text, size_t n, uint8_t *ret, struct err *err)
{
	CLEANUP(free_cipher) EVP_CIPHER_CTX *context = n > INT_MAX ? NULL : gcm_begin(gcm, true);
	int got = 0, rest = 0;

	if (context == NULL || (n > 0 && EVP_CipherUpdate(context, ret, &got, text, (int)n) != 1) || (size_t)got != n ||
	    EVP_CipherFinal_ex(context, ret + n, &rest) != 1 || rest != 0 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_SIZE, ret + n) != 1)
		return fail(err, "sealing");
	return 0;
}

int
crypt_gcm_open(const struct gcm *gcm, const uint8_t *sealed, size_t n, uint8_t *ret, bool *ret_authentic,
	struct err *err)
{
	CLEANUP(free_cipher) EVP_CIPHER_CTX *context = n > INT_MAX ? NULL : gcm_begin(gcm, false);
	uint8_t tag[GCM_TAG_SIZE];
	int got = 0, rest = 0;

	*ret_authentic = false;
	if (n < GCM_TAG_SIZE)
		return 0;
	n -= GCM_TAG_SIZE;
	(void)memcpy(tag, sealed + n, sizeof(tag));
	if (context == NULL || (n > 0 && EVP_CipherUpdate(context, ret, &got, sealed, (int)n) != 1) || (size_t)got != n ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE, tag) != 1) {
		secret_wipe(ret, n);
		return fail(err, "opening what was sealed");
	}
	*ret_authentic = EVP_CipherFinal_ex(context, ret + n, &rest) == 1;
	if (!*ret_authentic)
		secret_wipe(ret, n);
	ERR_clear_error();
	return 0;
}

/* ---- Ed25519 ------------------------------------------------------------------------------- */

static struct signer *
new_signer(EVP_PKEY *key)
{
	struct signer *signer = mem_zero(1, sizeof(*signer));

	signer->key = key;
	return signer;
}

int
crypt_signer_generate(struct signer **ret, struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	if (key == NULL)
		return fail(err, "making an Ed25519 key");
	*ret = new_signer(key);
	return 0;
}

/* Without a callback OpenSSL would ask the terminal, and a nightly run would hang. */
static int
no_passphrase(char *buffer, int size, int writing, void *ctx)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

int
crypt_signer_from_pem(struct signer **ret, const char *pem, size_t n, struct err *err)
{
	CLEANUP(free_bio) BIO *bio = n > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
	CLEANUP(free_key) EVP_PKEY *key = NULL;

	if (bio == NULL)
		return fail(err, "reading a signing key");
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (key == NULL) {
		fail(err, "reading a signing key");
		return err_hint(err, "it must be an unencrypted PKCS#8 PEM file, as expunge init makes it");
	}
	if (!EVP_PKEY_is_a(key, "ED25519"))
		return err_set(err, ERR_FAILED, "reading a signing key: not an Ed25519 key");
	*ret = new_signer(TAKE_PTR(key));
	return 0;
}

int
crypt_signer_to_pem(const struct signer *signer, struct secret *ret_pem, struct err *err)
{
	CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_secmem());
	char *bytes = NULL;
	long n;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, signer->key, NULL, NULL, 0, NULL, NULL) != 1)
		return fail(err, "writing a signing key");
	n = BIO_get_mem_data(bio, &bytes);
	if (n <= 0)
		return fail(err, "writing a signing key");
	secret_new(ret_pem, (size_t)n);
	(void)memcpy(ret_pem->bytes, bytes, (size_t)n);
	return 0;
}

int
crypt_signer_public_pem(const struct signer *signer, char **ret, struct err *err)
{
	CLEANUP(free_bio) BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	long n;

	if (bio == NULL || PEM_write_bio_PUBKEY(bio, signer->key) != 1)
		return fail(err, "writing a public key");
	n = BIO_get_mem_data(bio, &bytes);
	if (n <= 0)
		return fail(err, "writing a public key");
	*ret = mem_copy_n(bytes, (size_t)n);
	return 0;
}

static int
raw_public(const EVP_PKEY *key, uint8_t ret[ED25519_KEY_SIZE], struct err *err)
{
	size_t n = ED25519_KEY_SIZE;

	if (EVP_PKEY_get_raw_public_key(key, ret, &n) != 1 || n != ED25519_KEY_SIZE)
		return fail(err, "reading a public key");
	return 0;
}

int
crypt_signer_public(const struct signer *signer, uint8_t ret[ED25519_KEY_SIZE], struct err *err)
{
	return raw_public(signer->key, ret, err);
}

static int
verify_with(EVP_PKEY *key, const void *bytes, size_t n, const uint8_t signature[ED25519_SIGNATURE_SIZE], struct err *err)
{
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context == NULL || EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) != 1)
		return fail(err, "checking a signature");
	if (EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, bytes, n) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_FAILED, "the signature is not good");
	}
	return 0;
}

int
crypt_sign(const struct signer *signer, const void *bytes, size_t n, uint8_t ret[ED25519_SIGNATURE_SIZE],
	struct err *err)
{
	CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	size_t got = sizeof(signature);

	if (context == NULL || EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, signer->key, NULL) != 1 ||
	    EVP_DigestSign(context, signature, &got, bytes, n) != 1 || got != sizeof(signature))
		return fail(err, "signing");
	/* a signature spoilt by a fault of the machine can give the key away */
	if (verify_with(signer->key, bytes, n, signature, err) != 0)
		return err_prefix(err, "checking a new signature");
	(void)memcpy(ret, signature, sizeof(signature));
	return 0;
}

void
crypt_signer_free(struct signer *signer)
{
	if (signer == NULL)
		return;
	EVP_PKEY_free(signer->key);
	free(signer);
}

void
crypt_signer_freep(struct signer **signer)
{
	crypt_signer_free(*signer);
	*signer = NULL;
}

int
crypt_verify(const uint8_t key[ED25519_KEY_SIZE], const void *bytes, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE], struct err *err)
{
	CLEANUP(free_key) EVP_PKEY *public = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key, ED25519_KEY_SIZE);

	return public == NULL ? fail(err, "checking a signature") : verify_with(public, bytes, n, signature, err);
}

int
crypt_public_from_pem(const char *pem, size_t n, uint8_t ret[ED25519_KEY_SIZE], struct err *err)
{
	CLEANUP(free_bio) BIO *bio = n > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
	CLEANUP(free_key) EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	if (key == NULL)
		return fail(err, "reading a public key");
	if (!EVP_PKEY_is_a(key, "ED25519"))
		return err_set(err, ERR_FAILED, "reading a public key: not an Ed25519 key");
	return raw_public(key, ret, err);
}

const char *
crypt_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
