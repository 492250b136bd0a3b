/* Every call of OpenSSL fails once: it is reported, no half-made signature, key or certificate comes out. */
#include "faults.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "evidence.h"
#include "evidence/export_format.h"
#include "evidence/issuer.h"
#include "evidence/sshsig.h"

static bool spoil_signatures;
static bool reading; /* OpenSSL reads a key, tries several ways, and does without one that fails */

/* ---- OpenSSL ------------------------------------------------------------------------------- */

static bool
misses(const char *name)
{
	return !reading && fails(name);
}

int
RAND_priv_bytes(unsigned char *bytes, int n)
{
	REAL(RAND_priv_bytes);

	return misses("RAND_priv_bytes") ? 0 : real(bytes, n);
}

int
EVP_Digest(const void *bytes, size_t n, unsigned char *hash, unsigned int *size, const EVP_MD *type, ENGINE *engine)
{
	REAL(EVP_Digest);

	return misses("EVP_Digest") ? 0 : real(bytes, n, hash, size, type, engine);
}

EVP_MD_CTX *
EVP_MD_CTX_new(void)
{
	REAL(EVP_MD_CTX_new);

	return misses("EVP_MD_CTX_new") ? NULL : real();
}

int
EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *type, const OSSL_PARAM params[])
{
	REAL(EVP_DigestInit_ex2);

	return misses("EVP_DigestInit_ex2") ? 0 : real(context, type, params);
}

int
EVP_DigestUpdate(EVP_MD_CTX *context, const void *bytes, size_t n)
{
	REAL(EVP_DigestUpdate);

	return misses("EVP_DigestUpdate") ? 0 : real(context, bytes, n);
}

int
EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *hash, unsigned int *size)
{
	REAL(EVP_DigestFinal_ex);

	return misses("EVP_DigestFinal_ex") ? 0 : real(context, hash, size);
}

unsigned char *
EVP_Q_mac(OSSL_LIB_CTX *library, const char *name, const char *properties, const char *algorithm,
	const OSSL_PARAM *params, const void *key, size_t key_n, const unsigned char *bytes, size_t n, unsigned char *mac,
	size_t size, size_t *ret_n)
{
	REAL(EVP_Q_mac);

	return misses("EVP_Q_mac") ? NULL
	                          : real(library, name, properties, algorithm, params, key, key_n, bytes, n, mac, size, ret_n);
}

EVP_PKEY *
EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *properties, const char *type, ...)
{
	REAL(EVP_PKEY_Q_keygen);

	return misses("EVP_PKEY_Q_keygen") ? NULL : real(library, properties, type);
}

BIO *
BIO_new_mem_buf(const void *bytes, int n)
{
	REAL(BIO_new_mem_buf);

	return misses("BIO_new_mem_buf") ? NULL : real(bytes, n);
}

BIO *
BIO_new(const BIO_METHOD *type)
{
	REAL(BIO_new);

	return misses("BIO_new") ? NULL : real(type);
}

long
BIO_ctrl(BIO *bio, int command, long larg, void *parg)
{
	REAL(BIO_ctrl);

	return command == BIO_CTRL_INFO && misses("BIO_ctrl") ? 0 : real(bio, command, larg, parg);
}

EVP_PKEY *
PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **key, pem_password_cb *ask, void *ctx)
{
	EVP_PKEY *got;
	REAL(PEM_read_bio_PrivateKey);

	if (misses("PEM_read_bio_PrivateKey"))
		return NULL;
	reading = true;
	got = real(bio, key, ask, ctx);
	reading = false;
	return got;
}

EVP_PKEY *
PEM_read_bio_PUBKEY(BIO *bio, EVP_PKEY **key, pem_password_cb *ask, void *ctx)
{
	EVP_PKEY *got;
	REAL(PEM_read_bio_PUBKEY);

	if (misses("PEM_read_bio_PUBKEY"))
		return NULL;
	reading = true;
	got = real(bio, key, ask, ctx);
	reading = false;
	return got;
}

int
PEM_write_bio_PKCS8PrivateKey(BIO *bio, const EVP_PKEY *key, const EVP_CIPHER *cipher, const char *pass, int n,
	pem_password_cb *ask, void *ctx)
{
	REAL(PEM_write_bio_PKCS8PrivateKey);

	return misses("PEM_write_bio_PKCS8PrivateKey") ? 0 : real(bio, key, cipher, pass, n, ask, ctx);
}

int
PEM_write_bio_PUBKEY(BIO *bio, const EVP_PKEY *key)
{
	REAL(PEM_write_bio_PUBKEY);

	return misses("PEM_write_bio_PUBKEY") ? 0 : real(bio, key);
}

int
EVP_PKEY_get_raw_public_key(const EVP_PKEY *key, unsigned char *bytes, size_t *n)
{
	REAL(EVP_PKEY_get_raw_public_key);

	return misses("EVP_PKEY_get_raw_public_key") ? 0 : real(key, bytes, n);
}

EVP_PKEY *
EVP_PKEY_new_raw_public_key_ex(OSSL_LIB_CTX *library, const char *type, const char *properties, const unsigned char *key,
	size_t n)
{
	REAL(EVP_PKEY_new_raw_public_key_ex);

	return misses("EVP_PKEY_new_raw_public_key_ex") ? NULL : real(library, type, properties, key, n);
}

int
EVP_DigestSignInit_ex(EVP_MD_CTX *context, EVP_PKEY_CTX **key_context, const char *digest, OSSL_LIB_CTX *library,
	const char *properties, EVP_PKEY *key, const OSSL_PARAM params[])
{
	REAL(EVP_DigestSignInit_ex);

	return misses("EVP_DigestSignInit_ex") ? 0 : real(context, key_context, digest, library, properties, key, params);
}

int
EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *size, const unsigned char *bytes, size_t n)
{
	int done;
	REAL(EVP_DigestSign);

	done = misses("EVP_DigestSign") ? 0 : real(context, signature, size, bytes, n);
	if (done == 1 && spoil_signatures)
		signature[40] ^= 4;
	return done;
}

int
EVP_DigestVerifyInit_ex(EVP_MD_CTX *context, EVP_PKEY_CTX **key_context, const char *digest, OSSL_LIB_CTX *library,
	const char *properties, EVP_PKEY *key, const OSSL_PARAM params[])
{
	REAL(EVP_DigestVerifyInit_ex);

	return misses("EVP_DigestVerifyInit_ex") ? 0 : real(context, key_context, digest, library, properties, key, params);
}

int
EVP_DigestVerify(EVP_MD_CTX *context, const unsigned char *signature, size_t size, const unsigned char *bytes, size_t n)
{
	REAL(EVP_DigestVerify);

	return misses("EVP_DigestVerify") ? 0 : real(context, signature, size, bytes, n);
}

int
CRYPTO_secure_malloc_init(size_t size, size_t least)
{
	REAL(CRYPTO_secure_malloc_init);

	return misses("CRYPTO_secure_malloc_init") ? 0 : real(size, least);
}

int
setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	REAL(setrlimit);

	return misses("setrlimit") ? -1 : real(resource, limit);
}

/* ---- operations ---------------------------------------------------------------------------- */

#define TEXT "one line\n"

static char directory[] = "/tmp/expunge-faults.XXXXXX";
static char path[sizeof(directory) + 16];
static struct signer *signer;
static struct secret key, pem;
static char *public_pem;
static uint8_t public[ED25519_KEY_SIZE], signature[ED25519_SIGNATURE_SIZE];

static int
hash(struct err *err)
{
	char text[72];

	return crypt_sha256_text(TEXT, strlen(TEXT), text, err);
}

static int
hash_file(struct err *err)
{
	uint8_t ret[SHA256_SIZE];

	return crypt_sha256_file(EXAMPLE_PEM, ret, err);
}

static int
hmac(struct err *err)
{
	uint8_t ret[SHA256_SIZE];

	return crypt_hmac_sha256(&key, TEXT, strlen(TEXT), ret, err);
}

static int
uuid(struct err *err)
{
	char text[37];

	return crypt_uuid(text, err);
}

static int
generate(struct err *err)
{
	CLEANUP(crypt_signer_freep) struct signer *made = NULL;
	int rc = crypt_signer_generate(&made, err);

	ck_assert((rc == 0) == (made != NULL));
	return rc;
}

static int
from_pem(struct err *err)
{
	CLEANUP(crypt_signer_freep) struct signer *made = NULL;
	int rc = crypt_signer_from_pem(&made, (const char *)pem.bytes, pem.n, err);

	ck_assert((rc == 0) == (made != NULL));
	return rc;
}

static int
to_pem(struct err *err)
{
	CLEANUP(secret_erase) struct secret made = SECRET_INIT;
	int rc = crypt_signer_to_pem(signer, &made, err);

	ck_assert((rc == 0) == (made.n > 0));
	return rc;
}

static int
to_public_pem(struct err *err)
{
	CLEANUP(free_text) char *made = NULL;
	int rc = crypt_signer_public_pem(signer, &made, err);

	ck_assert((rc == 0) == (made != NULL));
	return rc;
}

static int
from_public_pem(struct err *err)
{
	uint8_t raw[ED25519_KEY_SIZE];

	return crypt_public_from_pem(public_pem, strlen(public_pem), raw, err);
}

static int
sign(struct err *err)
{
	static const uint8_t none[ED25519_SIGNATURE_SIZE];
	uint8_t made[ED25519_SIGNATURE_SIZE] = { 0 };
	int rc = crypt_sign(signer, TEXT, strlen(TEXT), made, err);

	ck_assert(rc == 0 || memcmp(made, none, sizeof(none)) == 0);
	return rc;
}

static int
verify(struct err *err)
{
	return crypt_verify(public, TEXT, strlen(TEXT), signature, err);
}

static int
sign_note(struct err *err)
{
	CLEANUP(str_release) struct str note = STR_INIT;
	const struct note_signer who[] = { { "a.example", signer }, { "b.example", signer } };
	int rc = note_sign(&note, TEXT, strlen(TEXT), who, 2, err);

	ck_assert((rc == 0) == (note.len > 0));
	return rc;
}

static int
make_note_key(struct err *err)
{
	CLEANUP(note_key_release) struct note_key made = { 0 };
	int rc = note_key_init(&made, "a.example", public, err);

	ck_assert((rc == 0) == (made.name != NULL));
	return rc;
}

static int
sign_for_ssh(struct err *err)
{
	CLEANUP(str_release) struct str armored = STR_INIT;
	int rc = sshsig_sign(&armored, TEXT, strlen(TEXT), signer, err);

	ck_assert((rc == 0) == (armored.len > 0));
	return rc;
}

static void
without_key(void)
{
	(void)unlink(path);
}

static int
create_issuer(struct err *err)
{
	int rc = issuer_create(path, err);

	ck_assert((rc == 0) == (access(path, F_OK) == 0));
	return rc;
}

static void
with_key(void)
{
	without_key();
	ck_assert_int_eq(issuer_create(path, NULL), 0);
}

static int
open_issuer(struct err *err)
{
	CLEANUP(issuer_release) struct issuer issuer = ISSUER_INIT;
	CLEANUP(str_release) struct str note = STR_INIT;
	CLEANUP(free_text) char *made = NULL;

	return issuer_open(&issuer, path, "a.example", err) != 0 || issuer_sign(&issuer, &note, TEXT, strlen(TEXT), err) != 0 ?
		-1 : issuer_public_pem(&issuer, &made, err);
}

static int
refer(struct err *err)
{
	static const uint8_t salt[ISSUER_SALT_SIZE];
	char ref[ISSUER_REF_SIZE], check[ISSUER_CHECK_SIZE];

	return issuer_subject_ref(salt, "i", "t", "r", "s", ref, err) != 0 ? -1 : issuer_approver_check(&key, "i", "l", check, err);
}

static int
export_row(struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = sample_certificate();
	CLEANUP(free_text) char *bytes = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&bytes, &n);
	int rc = export_csv(out, &c, TEXT, strlen(TEXT), err);

	(void)fclose(out);
	return rc;
}

static int
start(struct err *err)
{
	const char *warning;

	return crypt_start(&warning, err);
}

static const struct operation operations[] = {
	{ "hash", NULL, hash, NULL },
	{ "hash a file", NULL, hash_file, NULL },
	{ "hmac", NULL, hmac, NULL },
	{ "uuid", NULL, uuid, NULL },
	{ "generate", NULL, generate, NULL },
	{ "from PEM", NULL, from_pem, NULL },
	{ "to PEM", NULL, to_pem, NULL },
	{ "to public PEM", NULL, to_public_pem, NULL },
	{ "from public PEM", NULL, from_public_pem, NULL },
	{ "sign", NULL, sign, NULL },
	{ "verify", NULL, verify, NULL },
	{ "sign a note", NULL, sign_note, NULL },
	{ "make a note's key", NULL, make_note_key, NULL },
	{ "sign for ssh-keygen", NULL, sign_for_ssh, NULL },
	{ "create an issuer", without_key, create_issuer, NULL },
	{ "open an issuer", with_key, open_issuer, NULL },
	{ "refer to people", NULL, refer, NULL },
	{ "export a row", NULL, export_row, NULL },
	{ "start", NULL, start, NULL },
};
#define N_OPERATIONS ((int)(sizeof(operations) / sizeof(operations[0])))

/* ---- tests --------------------------------------------------------------------------------- */

START_TEST(no_fault_is_lost)
{
	fail_each_call(&operations[_i]);
}
END_TEST

START_TEST(a_spoilt_signature_stays_inside)
{
	struct err err = { 0 };

	spoil_signatures = true;
	ck_assert_int_eq(sign(&err), -1);
	ck_assert_str_eq(err.msg, "checking a new signature: the signature is not good");
	ck_assert_int_eq(sign_note(&err), -1);
	ck_assert_int_eq(sign_for_ssh(&err), -1);
}
END_TEST

/* A note whose key cannot be looked at is not "signed by no known key". */
START_TEST(a_note_is_not_opened_by_a_fault)
{
	CLEANUP(note_key_release) struct note_key known = example_key();
	struct err err = { 0 };
	size_t n = 0;
	CLEANUP(free_text) char *bytes = slurp(EXAMPLE, &n);
	int faults = 0;

	for (int i = 0; i < 20; i++) {
		CLEANUP(note_release) struct note note = NOTE_INIT;
		int rc;

		at_fault = NULL;
		calls_left = i;
		rc = note_open(&note, bytes, n, &known, 1, &err);
		calls_left = -1;
		if (at_fault == NULL) {
			ck_assert_int_eq(rc, 0);
			break;
		}
		faults++;
		ck_assert_int_eq(rc, -1);
		ck_assert_ptr_null(note.text);
	}
	ck_assert_int_gt(faults, 2);
}
END_TEST

static void
set_up(void)
{
	(void)strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/key", directory);
	secret_new(&key, 32);
	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	ck_assert_int_eq(crypt_signer_to_pem(signer, &pem, NULL), 0);
	ck_assert_int_eq(crypt_signer_public_pem(signer, &public_pem, NULL), 0);
	ck_assert_int_eq(crypt_signer_public(signer, public, NULL), 0);
	ck_assert_int_eq(crypt_sign(signer, TEXT, strlen(TEXT), signature, NULL), 0);
}

static void
tear_down(void)
{
	crypt_signer_freep(&signer);
	secret_erase(&key);
	secret_erase(&pem);
	free(TAKE_PTR(public_pem));
	(void)unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, no_fault_is_lost, 0, N_OPERATIONS);
	tcase_add_test(tests, a_spoilt_signature_stays_inside);
	tcase_add_test(tests, a_note_is_not_opened_by_a_fault);
	return run_suite("faults of OpenSSL", tests);
}
