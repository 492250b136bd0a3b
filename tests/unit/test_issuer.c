/* The issuer's key file, and the references a certificate makes to people. */
#include "evidence.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "evidence/issuer.h"

#define INSTANCE "6f0e0a52-7c1b-4c7e-9a51-0d6b8f3c2e11"
#define REQUEST "0b9f6a34-51cf-4a3e-8f0e-7d2c9a4e6b15"

static char dir[] = "/tmp/expunge-issuer.XXXXXX";
static char path[sizeof(dir) + 16];

static void
make_dir(void)
{
	(void)strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/issuer.key", dir);
}

static void
remove_dir(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else was left */
}

START_TEST(made_once)
{
	struct err err = { 0 };
	struct stat st;
	CLEANUP(free_text) char *first = NULL;
	CLEANUP(free_text) char *second = NULL;

	ck_assert_msg(issuer_create(path, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	first = slurp(path, NULL);
	ck_assert_int_eq(issuer_create(path, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	second = slurp(path, NULL);
	ck_assert_str_eq(first, second);
	ck_assert_ptr_null(strstr(err.msg, "PRIVATE"));
}
END_TEST

START_TEST(signs_and_is_verified)
{
	CLEANUP(issuer_release) struct issuer issuer = ISSUER_INIT;
	CLEANUP(str_release) struct str note = STR_INIT;
	CLEANUP(note_release) struct note parts = NOTE_INIT;
	CLEANUP(note_key_release) struct note_key key = { 0 };
	CLEANUP(free_text) char *pem = NULL;
	CLEANUP(free_text) char *pem_path = mem_printf("%s.pem", path);
	FILE *out;
	struct err err = { 0 };

	ck_assert_int_eq(issuer_create(path, &err), 0);
	ck_assert_msg(issuer_open(&issuer, path, "issuer.example", &err) == 0, "%s", err.msg);
	ck_assert_int_eq(issuer_sign(&issuer, &note, "text\n", 5, &err), 0);
	ck_assert_int_eq(issuer_public_pem(&issuer, &pem, &err), 0);
	out = fopen(pem_path, "we");
	ck_assert(out != NULL && fputs(pem, out) >= 0 && fclose(out) == 0);
	ck_assert_int_eq(issuer_public_key(&key, pem_path, "issuer.example", &err), 0);
	ck_assert_int_eq(unlink(pem_path), 0);
	ck_assert_int_eq(note_open(&parts, note.s, note.len, &key, 1, &err), 0);
	ck_assert_str_eq(parts.text, "text\n");
}
END_TEST

START_TEST(unfit_files_are_refused)
{
	CLEANUP(free_text) char *link_path = mem_printf("%s.link", path);
	struct issuer issuer;
	struct err err = { 0 };
	FILE *out;

	ck_assert_int_eq(issuer_open(&issuer, path, "issuer.example", &err), -1);
	ck_assert(strstr(err.msg, "no such file") != NULL && err.hint[0] != '\0');
	ck_assert_int_eq(issuer_create(path, &err), 0);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(issuer_open(&issuer, path, "issuer.example", &err), -1);
	ck_assert_msg(strstr(err.hint, "chmod 600") != NULL, "%s", err.hint);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(issuer_open(&issuer, path, "bad name", &err), -1);
	ck_assert_int_eq(symlink(path, link_path), 0);
	ck_assert_int_eq(issuer_open(&issuer, link_path, "issuer.example", &err), -1);
	ck_assert_int_eq(unlink(link_path), 0);
	out = fopen(path, "we");
	ck_assert(out != NULL && fputs("-----BEGIN PRIVATE KEY-----\nnone\n", out) >= 0 && fclose(out) == 0);
	ck_assert_int_eq(issuer_open(&issuer, path, "issuer.example", &err), -1);
	ck_assert_ptr_null(issuer.signer);
	ck_assert_ptr_null(issuer.key.name);
}
END_TEST

START_TEST(no_directory)
{
	struct err err = { 0 };

	ck_assert_int_eq(issuer_create("/tmp/expunge-no-such-directory/issuer.key", &err), -1);
	ck_assert_int_ne(err.code, ERR_NONE);
}
END_TEST

/* computed apart, with Python's hashlib and hmac */
START_TEST(references)
{
	uint8_t salt[ISSUER_SALT_SIZE];
	char ref[ISSUER_REF_SIZE], other[ISSUER_REF_SIZE], check[ISSUER_CHECK_SIZE];
	CLEANUP(secret_erase) struct secret key = SECRET_INIT;

	secret_new(&key, 32);
	for (size_t i = 0; i < 32; i++)
		salt[i] = key.bytes[i] = (uint8_t)i;
	ck_assert_int_eq(issuer_subject_ref(salt, INSTANCE, "2", REQUEST, "1042", ref, NULL), 0);
	ck_assert_str_eq(ref, "sha256:45ba47e3ad123e31213c33d82cbda8b0a27d2a2e28407cdad37a6abdd0ef5a53");
	ck_assert_int_eq(issuer_subject_ref(salt, INSTANCE, "21", REQUEST, "042", other, NULL), 0);
	ck_assert_str_ne(ref, other);
	salt[31] ^= 1;
	ck_assert_int_eq(issuer_subject_ref(salt, INSTANCE, "2", REQUEST, "1042", other, NULL), 0);
	ck_assert_str_ne(ref, other);
	ck_assert_int_eq(issuer_subject_ref(salt, INSTANCE, "2", REQUEST, "", other, NULL), -1);
	ck_assert_int_eq(issuer_approver_check(&key, INSTANCE, "dpo_jane", check, NULL), 0);
	ck_assert_str_eq(check, "861e552bd0360bc212196a777b3d0745");
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("issuer");

	tcase_add_checked_fixture(tests, make_dir, remove_dir);
	tcase_add_test(tests, made_once);
	tcase_add_test(tests, signs_and_is_verified);
	tcase_add_test(tests, unfit_files_are_refused);
	tcase_add_test(tests, no_directory);
	tcase_add_test(tests, references);
	return run_suite("issuer", tests);
}
