/* Certificates written out for people: complete files or none. */
#include "evidence.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "evidence/export.h"

#define ID "00112233445566778899aabbccddeeff"

static char dir[] = "/tmp/expunge-export.XXXXXX";

static void
make_dir(void)
{
	(void)strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
remove_dir(void)
{
	CLEANUP(free_text) char *command = mem_printf("rm -rf '%s'", dir);

	ck_assert_int_eq(system(command), 0);
}

static char *
in_dir(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

/* names in the directory, hidden ones too */
static int
count_files(void)
{
	CLEANUP(free_text) char *command = mem_printf("find '%s' -type f | wc -l", dir);
	FILE *in = popen(command, "re");
	int n = -1;

	ck_assert_ptr_nonnull(in);
	ck_assert_int_eq(fscanf(in, "%d", &n), 1);
	(void)pclose(in);
	return n;
}

/* the note of the sample certificate under a serial; the caller frees */
static char *
sample_note(int64_t serial, const char *controller, struct signer *signer)
{
	CLEANUP(certificate_release) struct certificate c = sample_certificate();
	CLEANUP(str_release) struct str text = STR_INIT;
	struct str note = STR_INIT;
	const struct note_signer who = { "issuer.example", signer };
	struct err err = { 0 };

	c.serial = serial;
	free(c.controller);
	c.controller = mem_copy(controller);
	ck_assert_msg(certificate_encode(&c, &text, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(note_sign(&note, text.s, text.len, &who, 1, &err), 0);
	return str_take(&note);
}

/* exports serials 7 and 8; 0 or -1 */
static int
export_two(enum export_format format, const char *controller, struct signer *signer, struct err *err)
{
	CLEANUP(export_freep) struct export *export = NULL;
	CLEANUP(free_text) char *first = sample_note(7, controller, signer);
	CLEANUP(free_text) char *second = sample_note(8, controller, signer);

	if (export_begin(&export, dir, format, err) != 0 ||
	    export_add(export, 7, ID, first, strlen(first), "signature\n", err) != 0 ||
	    export_add(export, 8, ID, second, strlen(second), NULL, err) != 0)
		return -1;
	return export_end(export, err);
}

START_TEST(notes)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *path = in_dir("00000007-" ID ".note");
	CLEANUP(free_text) char *sidecar = in_dir("00000007-" ID ".note.sig");
	CLEANUP(free_text) char *wanted = NULL;
	CLEANUP(free_text) char *got = NULL;
	CLEANUP(free_text) char *sig = NULL;
	struct err err = { 0 };

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	ck_assert_msg(export_two(EXPORT_NOTES, "practice 2", signer, &err) == 0, "%s", err.msg);
	wanted = sample_note(7, "practice 2", signer);
	got = slurp(path, NULL);
	sig = slurp(sidecar, NULL);
	ck_assert_str_eq(got, wanted);
	ck_assert_str_eq(sig, "signature\n");
	ck_assert_int_eq(count_files(), 3);
}
END_TEST

START_TEST(json)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *path = in_dir("certificates.json");
	CLEANUP(free_text) char *check = mem_printf("python3 -c '\n"
		"import json,sys\n"
		"a=json.load(open(\"%s\")); b=a[1]\n"
		"keys=[l.split(\":\")[0] for l in b[\"note\"].split(\"\\n\\n\")[0].split(\"\\n\")[1:] if l]\n"
		"missing=set(keys)-set(b)-{\"holds\",\"statement\"}\n"
		"sys.exit(not(len(a)==2 and not missing and b[\"serial\"]==8 and b[\"live\"][0][\"table\"]==\"app.my table\""
		" and b[\"keys\"][\"drivers\"]==[\"file:ext4,\",\"pkcs11)\"] and b[\"retained\"][0][\"until\"] is None"
		" and b[\"note\"].endswith(\"=\\n\")))'", path);
	struct err err = { 0 };

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	ck_assert_msg(export_two(EXPORT_JSON, "practice \"2\"", signer, &err) == 0, "%s", err.msg);
	if (system("command -v python3 >/dev/null") == 0)
		ck_assert_int_eq(system(check), 0);
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(csv)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *path = in_dir("certificates.csv");
	CLEANUP(free_text) char *got = NULL;
	const char *row;
	size_t columns = 1, fields = 1;
	struct err err = { 0 };

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	ck_assert_msg(export_two(EXPORT_CSV, "=HYPERLINK(\"x\")", signer, &err) == 0, "%s", err.msg);
	got = slurp(path, NULL);
	row = strstr(got, "\r\n") + 2;
	ck_assert_ptr_eq(strstr(row, "7," ID ",subject-erasure,interim,,completed-with-exclusions,"
		"\"'=HYPERLINK(\"\"x\"\")\",\"Example Practice Software Ltd, ICO registration ZA000000\",sha256:"), row);
	/* before, arrived, removed, masked, retained, after, created of all tables */
	ck_assert_ptr_nonnull(strstr(row, ",6,1,5,1,1,0,2,2026-09-14T01:15:09Z,0/3A7F2C8,2,1,"));
	for (const char *c = got; *c != '\r'; c++)
		columns += *c == ',' ? 1 : 0;
	for (const char *c = row; *c != '\r'; c++)
		fields += *c == ',' ? 1 : 0;
	ck_assert_uint_eq(fields, columns + 1); /* one comma is within quotes */
}
END_TEST

START_TEST(again_is_the_same_and_another_is_refused)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	enum export_format format = (enum export_format)_i;
	struct err err = { 0 };
	int n;

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	ck_assert_int_eq(export_two(format, "practice 2", signer, &err), 0);
	n = count_files();
	ck_assert_msg(export_two(format, "practice 2", signer, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(export_two(format, "practice 3", signer, &err), -1);
	ck_assert_msg(strstr(err.msg, "exists and is another") != NULL, "%s", err.msg);
	ck_assert_int_eq(export_two(format, "practice 2", signer, &err), 0);
	ck_assert_int_eq(count_files(), n);
}
END_TEST

START_TEST(wrong_notes_are_refused)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(export_freep) struct export *export = NULL;
	CLEANUP(free_text) char *note = NULL;

	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	note = sample_note(7, "practice 2", signer);
	ck_assert_int_eq(export_begin(&export, dir, EXPORT_NOTES, NULL), 0);
	ck_assert_int_eq(export_add(export, 8, ID, note, strlen(note), NULL, NULL), -1);
	ck_assert_int_eq(export_add(export, 7, "../../../../../../../tmp/aaaaaaa", note, strlen(note), NULL, NULL), -1);
	ck_assert_int_eq(export_add(export, 7, ID, note, strlen(note) - 1, NULL, NULL), -1);
	ck_assert_int_eq(count_files(), 0);
	ck_assert_int_eq(export_add(export, 7, ID, note, strlen(note), NULL, NULL), 0);
	ck_assert_int_eq(export_add(export, 7, ID, note, strlen(note), NULL, NULL), -1);
}
END_TEST

/* neither an export given up nor one on a full disk leaves anything */
START_TEST(nothing_is_left)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	struct export *export = NULL;
	const struct rlimit small = { 1000, RLIM_INFINITY }, unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct err err = { 0 };
	int rc;

	ck_assert_int_eq(export_begin(&export, dir, EXPORT_JSON, NULL), 0);
	export_free(export);
	ck_assert_int_eq(count_files(), 0);
	ck_assert_int_eq(crypt_signer_generate(&signer, NULL), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (int format = EXPORT_NOTES; format <= EXPORT_CSV; format++) {
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
		rc = export_two((enum export_format)format, "practice 2", signer, &err);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
		ck_assert_int_eq(rc, -1);
		ck_assert_msg(strstr(err.msg, "large") != NULL, "%s", err.msg);
		ck_assert_int_eq(count_files(), 0);
	}
}
END_TEST

START_TEST(formats)
{
	enum export_format format;

	ck_assert_int_eq(export_format_parse(&format, "csv", NULL), 0);
	ck_assert_int_eq(format, EXPORT_CSV);
	ck_assert_int_eq(export_format_parse(&format, "xml", NULL), -1);
	ck_assert_int_eq(export_format_parse(&format, "", NULL), -1);
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("export");

	tcase_add_checked_fixture(tests, make_dir, remove_dir);
	tcase_add_test(tests, notes);
	tcase_add_test(tests, json);
	tcase_add_test(tests, csv);
	tcase_add_loop_test(tests, again_is_the_same_and_another_is_refused, EXPORT_NOTES, EXPORT_CSV + 1);
	tcase_add_test(tests, wrong_notes_are_refused);
	tcase_add_test(tests, nothing_is_left);
	tcase_add_test(tests, formats);
	return run_suite("export", tests);
}
