/* lib/archive: every call of OpenSSL, zstd and the system fails once. It is reported; what was being written is no archive,
 * and what was being read is never complete. */
#include "faults.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zstd.h>

#include "archive_fixture.h"

int
RAND_priv_bytes(unsigned char *bytes, int n)
{
	REAL(RAND_priv_bytes);

	return fails("RAND_priv_bytes") ? 0 : real(bytes, n);
}

int
EVP_Digest(const void *bytes, size_t n, unsigned char *hash, unsigned int *size, const EVP_MD *type, ENGINE *engine)
{
	REAL(EVP_Digest);

	return fails("EVP_Digest") ? 0 : real(bytes, n, hash, size, type, engine);
}

EVP_MD_CTX *
EVP_MD_CTX_new(void)
{
	REAL(EVP_MD_CTX_new);

	return fails("EVP_MD_CTX_new") ? NULL : real();
}

int
EVP_DigestUpdate(EVP_MD_CTX *context, const void *bytes, size_t n)
{
	REAL(EVP_DigestUpdate);

	return fails("EVP_DigestUpdate") ? 0 : real(context, bytes, n);
}

int
EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *hash, unsigned int *size)
{
	REAL(EVP_DigestFinal_ex);

	return fails("EVP_DigestFinal_ex") ? 0 : real(context, hash, size);
}

unsigned char *
EVP_Q_mac(OSSL_LIB_CTX *library, const char *name, const char *properties, const char *algorithm,
	const OSSL_PARAM *params, const void *key, size_t key_n, const unsigned char *bytes, size_t n, unsigned char *mac,
	size_t size, size_t *ret_n)
{
	REAL(EVP_Q_mac);

	return fails("EVP_Q_mac") ? NULL
	                          : real(library, name, properties, algorithm, params, key, key_n, bytes, n, mac, size, ret_n);
}

int
EVP_KDF_derive(EVP_KDF_CTX *context, unsigned char *key, size_t n, const OSSL_PARAM params[])
{
	REAL(EVP_KDF_derive);

	return fails("EVP_KDF_derive") ? 0 : real(context, key, n, params);
}

int
EVP_CipherInit_ex2(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const unsigned char *key, const unsigned char *iv,
	int encrypt, const OSSL_PARAM params[])
{
	REAL(EVP_CipherInit_ex2);

	return fails("EVP_CipherInit_ex2") ? 0 : real(context, cipher, key, iv, encrypt, params);
}

int
EVP_CipherUpdate(EVP_CIPHER_CTX *context, unsigned char *out, int *n_out, const unsigned char *in, int n_in)
{
	REAL(EVP_CipherUpdate);

	return fails("EVP_CipherUpdate") ? 0 : real(context, out, n_out, in, n_in);
}

int
EVP_CipherFinal_ex(EVP_CIPHER_CTX *context, unsigned char *out, int *n_out)
{
	REAL(EVP_CipherFinal_ex);

	return fails("EVP_CipherFinal_ex") ? 0 : real(context, out, n_out);
}

int
EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *size, const unsigned char *bytes, size_t n)
{
	REAL(EVP_DigestSign);

	return fails("EVP_DigestSign") ? 0 : real(context, signature, size, bytes, n);
}

int
EVP_DigestVerify(EVP_MD_CTX *context, const unsigned char *signature, size_t size, const unsigned char *bytes, size_t n)
{
	REAL(EVP_DigestVerify);

	return fails("EVP_DigestVerify") ? 0 : real(context, signature, size, bytes, n);
}

int
EVP_PKEY_get_raw_public_key(const EVP_PKEY *key, unsigned char *bytes, size_t *n)
{
	REAL(EVP_PKEY_get_raw_public_key);

	return fails("EVP_PKEY_get_raw_public_key") ? 0 : real(key, bytes, n);
}

size_t
ZSTD_compressCCtx(ZSTD_CCtx *context, void *to, size_t max, const void *from, size_t n, int level)
{
	REAL(ZSTD_compressCCtx);

	return fails("ZSTD_compressCCtx") ? (size_t)-1 : real(context, to, max, from, n, level);
}

size_t
ZSTD_decompressDCtx(ZSTD_DCtx *context, void *to, size_t max, const void *from, size_t n)
{
	REAL(ZSTD_decompressDCtx);

	return fails("ZSTD_decompressDCtx") ? (size_t)-1 : real(context, to, max, from, n);
}

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	REAL(pread);

	return fails("pread") ? -1 : real(fd, to, n, at);
}

int
fstat(int fd, struct stat *st)
{
	REAL(fstat);

	return fails("fstat") ? -1 : real(fd, st);
}

/* ---- writing ------------------------------------------------------------------------------- */

static struct signer *signer;
static struct str bytes;
static uint8_t key[32], signers[1][ED25519_KEY_SIZE];
static struct archive_table table;

static void
start_over(void)
{
	str_clear(&bytes);
}

static int
write_one(struct err *err)
{
	CLEANUP(archive_writer_freep) struct archive_writer *writer = NULL;
	struct archive_header header = { .instance = "0b54f3a8-7c1d-4e2b-9a60-5d8f1c2e3b4a", .kind = ARCHIVE_RETAINED,
		.generation = 900 };
	struct archive_sink sink = str_sink(&bytes);
	struct archive_summary summary;
	uint32_t number;

	if (archive_write_begin(&writer, &header, key, &sink, 1, err) != 0 ||
	    archive_write_table(writer, &table, &number, err) != 0)
		return -1;
	for (int64_t leaf = 1; leaf <= 2; leaf++)
		if (archive_write_frame_begin(writer, leaf, key, err) != 0 ||
		    archive_write_frame_table(writer, number, err) != 0 || archive_write_frame_text(writer, "a row\n", 6, err) != 0 ||
		    archive_write_frame_end(writer, err) != 0)
			return -1;
	return archive_write_end(writer, signer, &summary, err);
}

static void
is_no_archive(bool done, const char *fault)
{
	struct archive *archive = NULL;
	enum archive_verdict verdict;
	int fd = fd_of(str_cstr(&bytes), bytes.len);

	ck_assert_msg((archive_open(&archive, fd, signers, 1, &verdict, NULL) == 0) == done, "%s failed and left an archive",
		fault == NULL ? "nothing" : fault);
	archive_close(archive);
	(void)close(fd);
}

START_TEST(writing)
{
	static const struct operation op = { "writing an archive", start_over, write_one, is_no_archive };

	fail_each_call(&op);
}
END_TEST

/* ---- reading ------------------------------------------------------------------------------- */

static size_t n_rows;
static int fd_read;

static int
key_of_both(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *err)
{
	(void)ctx;
	(void)leaf;
	(void)err;
	(void)memcpy(ret_key, key, 32);
	return 1;
}

static int
count_rows(void *ctx, const struct archive_frame *frame, uint32_t number, const void *text, size_t n, struct err *err)
{
	(void)ctx;
	(void)frame;
	(void)number;
	(void)err;
	ck_assert(n == 6 && memcmp(text, "a row\n", 6) == 0);
	n_rows++;
	return 0;
}

static int
read_one(struct err *err)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_reading reading = { key_of_both, count_rows, NULL };
	enum archive_verdict verdict = ARCHIVE_OK;
	struct archive_tally tally;
	int rc;

	n_rows = 0;
	rc = archive_open(&archive, fd_read, signers, 1, &verdict, err);
	if (rc == 0)
		rc = archive_unlock(archive, key, &verdict, err);
	if (rc == 0)
		rc = archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, err);
	ck_assert((rc == 0) == (verdict == ARCHIVE_OK));
	/* a machine that fails says nothing of the archive, but where its answer is the verdict */
	if (rc != 0 && (strncmp(at_fault, "EVP_KDF", 7) == 0 || strcmp(at_fault, "pread") == 0 || strcmp(at_fault, "fstat") == 0))
		ck_assert_msg(verdict == ARCHIVE_UNREADABLE, "%s: %s: %s", at_fault, archive_verdict_text(verdict), err->msg);
	return rc;
}

static void
is_complete_or_not(bool done, const char *fault)
{
	ck_assert_msg((n_rows == 2) == done, "%s failed, and %zu rows came", fault == NULL ? "nothing" : fault, n_rows);
}

START_TEST(reading)
{
	static const struct operation op = { "reading an archive", NULL, read_one, is_complete_or_not };

	ck_assert_int_eq(write_one(NULL), 0);
	fd_read = fd_of(bytes.s, bytes.len);
	fail_each_call(&op);
	(void)close(fd_read);
}
END_TEST

static void
set_up(void)
{
	static struct archive_column column = { (char *)(uintptr_t) "id", (char *)(uintptr_t) "bigint" };

	signer = named_signer("signer");
	named_public("signer", signers[0]);
	named_key("generation", key);
	table = (struct archive_table){ (char *)(uintptr_t) "app.patient", &column, 1, false, 0, 0 };
}

static void
tear_down(void)
{
	crypt_signer_free(signer);
	str_release(&bytes);
}

int
main(void)
{
	Suite *suite = suite_create("archive faults");
	TCase *tc = tcase_create("archive faults");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, writing);
	tcase_add_test(tc, reading);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
