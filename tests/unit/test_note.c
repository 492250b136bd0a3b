/* Signed notes: the published vectors of C2SP's first implementation (golang.org/x/mod/sumdb/note),
 * and what must be refused. */
#include "evidence.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "evidence/note.h"

#define PETER_KEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETER_SEED "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define PETER_SIG "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
#define PETER_BAD "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAQ=\n"
#define ENOCH_KEY "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define ENOCH_SIG "\xe2\x80\x94 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
#define TEXT "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"

/* the signing key of a 32-byte seed, by its PKCS#8 form (RFC 8410) */
static struct signer *
signer_of(const char *typed_seed)
{
	uint8_t der[48] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
	CLEANUP(str_release) struct str pem = STR_INIT;
	struct signer *signer = NULL;
	struct err err = { 0 };

	/* the type byte falls on the last one of the prefix, which is put back */
	ck_assert_int_eq(bytes_from_base64(typed_seed, strlen(typed_seed), der + 15, 33), 33);
	der[15] = 0x20;
	str_add(&pem, "-----BEGIN PRIVATE KEY-----\n");
	bytes_add_base64(&pem, der, sizeof(der));
	str_add(&pem, "\n-----END PRIVATE KEY-----\n");
	ck_assert_msg(crypt_signer_from_pem(&signer, pem.s, pem.len, &err) == 0, "%s", err.msg);
	return signer;
}

static int
open_with(const char *bytes, size_t n, const char *key1, const char *key2, struct note *note, struct err *err)
{
	struct note_key keys[2];
	int rc;

	ck_assert_int_eq(note_key_parse(&keys[0], key1, NULL), 0);
	if (key2 != NULL)
		ck_assert_int_eq(note_key_parse(&keys[1], key2, NULL), 0);
	rc = note_open(note, bytes, n, keys, key2 != NULL ? 2 : 1, err);
	note_key_release(&keys[0]);
	if (key2 != NULL)
		note_key_release(&keys[1]);
	return rc;
}

START_TEST(signs_the_published_note)
{
	CLEANUP(crypt_signer_freep) struct signer *peter = signer_of(PETER_SEED);
	const struct note_signer signer = { "PeterNeumann", peter };
	CLEANUP(str_release) struct str note = STR_INIT;

	ck_assert_int_eq(note_sign(&note, TEXT, strlen(TEXT), &signer, 1, NULL), 0);
	ck_assert_str_eq(note.s, TEXT "\n" PETER_SIG);
}
END_TEST

START_TEST(opens_the_published_note)
{
	const char *both = TEXT "\n" PETER_SIG ENOCH_SIG;
	CLEANUP(note_release) struct note note = NOTE_INIT;

	ck_assert_int_eq(open_with(both, strlen(both), PETER_KEY, NULL, &note, NULL), 0);
	ck_assert_str_eq(note.text, TEXT);
	ck_assert_uint_eq(note.n, strlen(TEXT));
	ck_assert_uint_eq(note.n_signatures, 2);
	ck_assert(note.signatures[0].verified && !note.signatures[1].verified);
	ck_assert_str_eq(note.signatures[1].name, "EnochRoot");
	note_release(&note);
	ck_assert_int_eq(open_with(both, strlen(both), PETER_KEY, ENOCH_KEY, &note, NULL), 0);
	ck_assert(note.signatures[0].verified && note.signatures[0].key == 0);
	ck_assert(note.signatures[1].verified && note.signatures[1].key == 1);
}
END_TEST

START_TEST(several_signers)
{
	CLEANUP(crypt_signer_freep) struct signer *peter = signer_of(PETER_SEED);
	CLEANUP(crypt_signer_freep) struct signer *other = NULL;
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(note_release) struct note note = NOTE_INIT;
	struct note_signer signers[2] = { { "PeterNeumann", peter } };
	struct note_key key;
	uint8_t raw[ED25519_KEY_SIZE];

	ck_assert_int_eq(crypt_signer_generate(&other, NULL), 0);
	signers[1] = (struct note_signer){ "b\xc3\xbc" "cher.example/2", other };
	ck_assert_int_eq(note_sign(&text, "a\n\nb\n", 5, signers, 2, NULL), 0);
	ck_assert_int_eq(crypt_signer_public(other, raw, NULL), 0);
	ck_assert_int_eq(note_key_init(&key, signers[1].name, raw, NULL), 0);
	ck_assert_int_eq(note_open(&note, text.s, text.len, &key, 1, NULL), 0);
	ck_assert_str_eq(note.text, "a\n\nb\n");
	ck_assert(!note.signatures[0].verified && note.signatures[1].verified);
	note_key_release(&key);
}
END_TEST

static const struct {
	const char *why;
	const char *note;
} malformed[] = {
	{ "empty", "" },
	{ "text only", TEXT },
	{ "no signature", TEXT "\n" },
	{ "no text", "\n" PETER_SIG },
	{ "no blank line", TEXT PETER_SIG },
	{ "control character", "\x01" TEXT "\n" PETER_SIG },
	{ "tab", "\t" TEXT "\n" PETER_SIG },
	{ "delete", "\x7f" TEXT "\n" PETER_SIG },
	{ "carriage return", "a\r\n\n" PETER_SIG },
	{ "not UTF-8", "\xff" TEXT "\n" PETER_SIG },
	{ "overlong UTF-8", "\xc0\xaf" TEXT "\n" PETER_SIG },
	{ "surrogate", "\xed\xa0\x80" TEXT "\n" PETER_SIG },
	{ "space in name", TEXT "\n\xe2\x80\x94 Bad Name x08go/ZJkg==\n" },
	{ "no-break space in name", TEXT "\n\xe2\x80\x94 Bad\xc2\xa0Name x08go/ZJkg==\n" },
	{ "plus in name", TEXT "\n\xe2\x80\x94 Bad+Name x08go/ZJkg==\n" },
	{ "no name", TEXT "\n\xe2\x80\x94  x08go/ZJkg==\n" },
	{ "no base64", TEXT "\n\xe2\x80\x94 Name \n" },
	{ "name only", TEXT "\n\xe2\x80\x94 Name\n" },
	{ "key id only", TEXT "\n\xe2\x80\x94 Name x08gow==\n" },
	{ "not base64", TEXT "\n\xe2\x80\x94 Name x08go/ZJ*g==\n" },
	{ "base64 unpadded", TEXT "\n\xe2\x80\x94 Name x08go/ZJkg\n" },
	{ "base64 not canonical", TEXT "\n\xe2\x80\x94 Name x08go/ZJkh==\n" },
	{ "hyphen", TEXT "\n- PeterNeumann x08go/ZJkg==\n" },
	{ "no space after dash", TEXT "\n\xe2\x80\x94PeterNeumann x08go/ZJkg==\n" },
	{ "line after", TEXT "\n" PETER_SIG "Unexpected line.\n" },
	{ "blank line after", TEXT "\n" PETER_SIG "\n" },
	{ "trailing space", TEXT "\n\xe2\x80\x94 PeterNeumann x08go/ZJkg== \n" },
};

START_TEST(malformed_is_refused)
{
	struct err err = { 0 };
	struct note note;

	ck_assert_msg(open_with(malformed[_i].note, strlen(malformed[_i].note), PETER_KEY, NULL, &note, &err) == -1,
		"accepted: %s", malformed[_i].why);
	ck_assert_msg(strstr(err.msg, "malformed") != NULL, "%s: %s", malformed[_i].why, err.msg);
	ck_assert_ptr_null(note.text);
	ck_assert_ptr_null(note.signatures);
}
END_TEST

static const struct {
	const char *why;
	const char *note;
	const char *says;
} unverified[] = {
	{ "altered text", "x" TEXT "\n" PETER_SIG, "bad signature" },
	{ "altered signature", TEXT "\n" PETER_BAD, "bad signature" },
	{ "good, then bad", TEXT "\n" PETER_SIG PETER_BAD, "bad signature" },
	{ "bad, then good", TEXT "\n" PETER_BAD PETER_SIG, "bad signature" },
	{ "short signature", TEXT "\n\xe2\x80\x94 PeterNeumann x08go/ZJkg==\n", "bad signature" },
	{ "other name", TEXT "\n\xe2\x80\x94 PeterNewman x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n", "no known key" },
	{ "other id", TEXT "\n\xe2\x80\x94 PeterNeumann y08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n", "no known key" },
	{ "another's only", TEXT "\n" ENOCH_SIG, "no known key" },
};

START_TEST(unverified_is_refused)
{
	struct err err = { 0 };
	struct note note;

	ck_assert_msg(open_with(unverified[_i].note, strlen(unverified[_i].note), PETER_KEY, NULL, &note, &err) == -1,
		"accepted: %s", unverified[_i].why);
	ck_assert_msg(strstr(err.msg, unverified[_i].says) != NULL, "%s: %s", unverified[_i].why, err.msg);
	ck_assert_ptr_null(note.text);
}
END_TEST

START_TEST(limits)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(note_release) struct note note = NOTE_INIT;
	static const char zero[] = "a\0b\n\n" PETER_SIG;

	ck_assert_int_eq(note_parse(&note, zero, sizeof(zero) - 1, NULL), -1);
	str_add(&text, TEXT "\n");
	for (int i = 0; i < NOTE_SIGNATURES_MAX; i++)
		str_add(&text, PETER_SIG);
	ck_assert_int_eq(open_with(text.s, text.len, PETER_KEY, NULL, &note, NULL), 0);
	ck_assert_uint_eq(note.n_signatures, NOTE_SIGNATURES_MAX);
	note_release(&note);
	str_add(&text, PETER_SIG);
	ck_assert_int_eq(open_with(text.s, text.len, PETER_KEY, NULL, &note, NULL), -1);
	str_clear(&text);
	for (int i = 0; i < NOTE_SIZE_MAX; i++)
		str_add(&text, "a");
	str_add(&text, "\n\n" PETER_SIG);
	ck_assert_int_eq(note_parse(&note, text.s, text.len, NULL), -1);
}
END_TEST

START_TEST(unsignable_is_refused)
{
	CLEANUP(crypt_signer_freep) struct signer *peter = signer_of(PETER_SEED);
	struct note_signer signer = { "PeterNeumann", peter };
	CLEANUP(str_release) struct str note = STR_INIT;

	ck_assert_int_eq(note_sign(&note, "abc", 3, &signer, 1, NULL), -1);
	ck_assert_int_eq(note_sign(&note, "\n", 1, &signer, 1, NULL), -1);
	ck_assert_int_eq(note_sign(&note, "a\tb\n", 4, &signer, 1, NULL), -1);
	ck_assert_int_eq(note_sign(&note, "a\0b\n", 4, &signer, 1, NULL), -1);
	ck_assert_int_eq(note_sign(&note, "abc\n", 4, &signer, 0, NULL), -1);
	signer.name = "bad name";
	ck_assert_int_eq(note_sign(&note, "abc\n", 4, &signer, 1, NULL), -1);
	ck_assert_uint_eq(note.len, 0);
}
END_TEST

static const struct {
	const char *name;
	bool valid;
} names[] = {
	{ "PeterNeumann", true }, { "certificates.expunge.example/2026", true }, { "b\xc3\xbc" "cher", true },
	{ "", false }, { "a b", false }, { "a+b", false }, { "a\tb", false }, { "a\nb", false },
	{ "a\xc2\xa0" "b", false }, { "a\xe2\x80\x83" "b", false }, { "a\xe3\x80\x80" "b", false },
	{ "a\xe2\x80\xae" "b", false }, { "a\xc2\x85" "b", false }, { "a\xff", false },
};

START_TEST(key_names)
{
	ck_assert_msg(note_name_is_valid(names[_i].name) == names[_i].valid, "%s", names[_i].name);
}
END_TEST

START_TEST(verifier_keys)
{
	struct note_key key;
	CLEANUP(str_release) struct str again = STR_INIT;
	char text[] = PETER_KEY;
	size_t n = strlen(text);

	ck_assert_int_eq(note_key_parse(&key, PETER_KEY, NULL), 0);
	note_key_add(&again, &key);
	ck_assert_str_eq(again.s, PETER_KEY);
	note_key_release(&key);
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j <= n; j++) {
			CLEANUP(free_text) char *part = mem_copy_n(text + i, j - i);

			if (j - i < n)
				ck_assert_msg(note_key_parse(&key, part, NULL) == -1, "%s", part);
		}
	for (size_t i = 0; i < n; i++) {
		text[i]++;
		ck_assert_msg(note_key_parse(&key, text, NULL) == -1, "%s", text);
		text[i]--;
	}
	/* a key of the wrong length and one of an unknown type, each under an id that fits it */
	ck_assert_int_eq(note_key_parse(&key, "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", NULL), -1);
	ck_assert_int_eq(note_key_parse(&key, "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", NULL), -1);
	ck_assert_ptr_null(key.name);
}
END_TEST

#define LOOP(tests, test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(table[0])))

int
main(void)
{
	TCase *tests = tcase_create("note");

	tcase_add_test(tests, signs_the_published_note);
	tcase_add_test(tests, opens_the_published_note);
	tcase_add_test(tests, several_signers);
	LOOP(tests, malformed_is_refused, malformed);
	LOOP(tests, unverified_is_refused, unverified);
	tcase_add_test(tests, limits);
	tcase_add_test(tests, unsignable_is_refused);
	LOOP(tests, key_names, names);
	tcase_add_test(tests, verifier_keys);
	return run_suite("note", tests);
}
