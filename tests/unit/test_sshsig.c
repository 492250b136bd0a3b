/* The example, and a fresh note, verified with every stock tool that doc/certificate.md names. */
#include "evidence.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "evidence/sshsig.h"

static char dir[] = "/tmp/expunge-sshsig.XXXXXX";

static void
make_dir(void)
{
	(void)strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

/* exit status of a shell command in which %s is the test's directory */
static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int
shell(const char *fmt, ...)
{
	CLEANUP(free_text) char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&command, fmt, ap), 0);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
remove_dir(void)
{
	ck_assert_int_eq(shell("rm -rf '%s'", dir), 0);
}

static void
put(const char *name, const char *text, size_t n)
{
	CLEANUP(free_text) char *path = mem_printf("%s/%s", dir, name);
	FILE *out = fopen(path, "we");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(text, 1, n, out), n);
	ck_assert_int_eq(fclose(out), 0);
}

/* body, note, note.sig, issuer.pem and allowed_signers of a fresh key */
static void
put_fresh(const char *name, const char *text)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(str_release) struct str note = STR_INIT;
	CLEANUP(str_release) struct str sig = STR_INIT;
	CLEANUP(str_release) struct str allowed = STR_INIT;
	CLEANUP(free_text) char *pem = NULL;
	CLEANUP(note_key_release) struct note_key key = { 0 };
	struct note_signer who = { name, NULL };
	uint8_t raw[ED25519_KEY_SIZE];
	size_t n = strlen(text);

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	who.signer = signer;
	ck_assert_int_eq(crypt_signer_public(signer, raw, NULL), 0);
	ck_assert_int_eq(note_key_init(&key, name, raw, NULL), 0);
	ck_assert_int_eq(note_sign(&note, text, n, &who, 1, NULL), 0);
	ck_assert_int_eq(sshsig_sign(&sig, text, n, signer, NULL), 0);
	ck_assert_int_eq(sshsig_add_allowed_signer(&allowed, &key, NULL), 0);
	ck_assert_int_eq(crypt_signer_public_pem(signer, &pem, NULL), 0);
	put("body", text, n);
	put("fresh.note", note.s, note.len);
	put("fresh.note.sig", sig.s, sig.len);
	put("allowed_signers", allowed.s, allowed.len);
	put("issuer.pem", pem, strlen(pem));
}

#define SSH_VERIFY "ssh-keygen -Y verify -f '%s/allowed_signers' -I '%s' -n %s -s '%s/fresh.note.sig' <'%s/%s' >/dev/null 2>&1"

START_TEST(ssh_keygen_verifies)
{
	put_fresh("certificates.test.example/2", "first\n\nsecond\n");
	ck_assert_int_eq(shell(SSH_VERIFY, dir, "certificates.test.example/2", "expunge-certificate", dir, dir, "body"), 0);
	ck_assert_int_ne(shell(SSH_VERIFY, dir, "certificates.test.example/2", "file", dir, dir, "body"), 0);
	ck_assert_int_ne(shell(SSH_VERIFY, dir, "somebody.else", "expunge-certificate", dir, dir, "body"), 0);
	put("other", "first\n\nsecond!\n", 15);
	ck_assert_int_ne(shell(SSH_VERIFY, dir, "certificates.test.example/2", "expunge-certificate", dir, dir, "other"), 0);
}
END_TEST

START_TEST(script_verifies)
{
	put_fresh("name.example", "first\n\nsecond\n");
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/issuer.pem' name.example '%s/fresh.note' >/dev/null", dir, dir), 0);
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/issuer.pem' name.examplf '%s/fresh.note' >/dev/null", dir, dir), 1);
	ck_assert_int_eq(shell("sh doc/verify.sh %s name.example '%s/fresh.note' >/dev/null", EXAMPLE_PEM, dir), 1);
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/issuer.pem' name.example '%s/absent' >/dev/null", dir, dir), 1);
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/absent' name.example '%s/fresh.note' >/dev/null 2>&1", dir, dir), 2);
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/issuer.pem' 2>/dev/null", dir), 2);
	/* one bad file among good ones */
	ck_assert_int_eq(shell("sh doc/verify.sh '%s/issuer.pem' name.example '%s/fresh.note' %s >'%s/said'", dir, dir,
		EXAMPLE, dir), 1);
	ck_assert_int_eq(shell("printf 'ok %%s\\nBAD %%s\\n' '%s/fresh.note' %s | cmp -s - '%s/said'", dir, EXAMPLE, dir), 0);
}
END_TEST

/* the script knows nothing of certificates: it must find what is wrong with signatures */
START_TEST(script_judges_vectors)
{
	ck_assert_int_eq(shell("sh doc/verify.sh " EXAMPLE_PEM " " EXAMPLE_NAME " tests/vectors/good-*.note >'%s/said'", dir), 0);
	ck_assert_int_eq(shell("sh doc/verify.sh " EXAMPLE_PEM " " EXAMPLE_NAME " tests/vectors/bad-signature-*.note >'%s/said'", dir), 1);
	ck_assert_int_eq(shell("grep -q '^BAD' '%s/said' && ! grep -v '^BAD' '%s/said'", dir, dir), 0);
}
END_TEST

/* the commands of doc/certificate.md */
START_TEST(example_by_stock_tools)
{
	ck_assert_int_eq(shell("sh doc/verify.sh " EXAMPLE_PEM " " EXAMPLE_NAME " " EXAMPLE " >/dev/null"), 0);
	ck_assert_int_eq(shell("set -e; note=" EXAMPLE "; blank=$(sed -n '/^$/=' $note | tail -n 1)\n"
		"head -n $((blank - 1)) $note >'%s/body'\n"
		"tail -n +$((blank + 1)) $note | head -n 1 | sed 's/.* //' | openssl base64 -d -A | tail -c 64 >'%s/sig'\n"
		"openssl pkeyutl -verify -rawin -pubin -inkey " EXAMPLE_PEM " -in '%s/body' -sigfile '%s/sig' >/dev/null",
		dir, dir, dir, dir), 0);
	ck_assert_int_eq(shell("ssh-keygen -Y verify -f doc/certificate-example.signers -I " EXAMPLE_NAME
		" -n expunge-certificate -s " EXAMPLE ".sig <'%s/body' >/dev/null", dir), 0);
}
END_TEST

START_TEST(pattern_names_are_refused)
{
	static const char *const names[] = { "a*", "a?b", "!a", "a,b", "a\"b", "#a" };
	const uint8_t raw[ED25519_KEY_SIZE] = { 1 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CLEANUP(note_key_release) struct note_key key = { 0 };
		CLEANUP(str_release) struct str line = STR_INIT;

		ck_assert_int_eq(note_key_init(&key, names[i], raw, NULL), 0);
		ck_assert_msg(sshsig_add_allowed_signer(&line, &key, NULL) == -1, "%s", names[i]);
		ck_assert_uint_eq(line.len, 0);
	}
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("sshsig");

	tcase_add_checked_fixture(tests, make_dir, remove_dir);
	tcase_add_test(tests, ssh_keygen_verifies);
	tcase_add_test(tests, script_verifies);
	tcase_add_test(tests, script_judges_vectors);
	tcase_add_test(tests, example_by_stock_tools);
	tcase_add_test(tests, pattern_names_are_refused);
	return run_suite("sshsig", tests);
}
