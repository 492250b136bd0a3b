/* lib/archive: what is sealed comes back to whoever has the keys, and to nobody else; all else is named. */
#include <fcntl.h>
#include <stdio.h>

#include "archive_fixture.h"

#define VECTOR "tests/vectors/good-v1.archive"
#define PATIENTS "1\tpatient number 1\n2\tpatient number 2\n3\tpatient number 3\n4\tpatient number 4\n"
#define NOTES                                                                                            \
	"1\tsleeps badly\n1\tsleeps less\n3\tsleeps badly\n3\tsleeps less\n4\tsleeps badly\n4\tsleeps well\n"

static struct err err;
static struct str bytes;
static struct archive_summary summary;
static struct archive_tally tally;
static struct reader reader;

static void
set_up(void)
{
	err_clear(&err);
	bytes = (struct str)STR_INIT;
	reader = (struct reader){ 0 };
	tally = (struct archive_tally){ 0 };
	summary = fix_archive("archive one", &bytes);
}

static void
tear_down(void)
{
	str_release(&bytes);
	reader_release(&reader);
}

static void
is_text(const struct str *text, const char *wanted)
{
	ck_assert_str_eq(str_cstr(text), wanted);
	ck_assert_uint_eq(text->len, strlen(wanted));
}

/* ---- good ones ----------------------------------------------------------------------------- */

START_TEST(comes_back)
{
	int fd = fd_of(bytes.s, bytes.len);

	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	is_text(&reader.tables[0], PATIENTS);
	is_text(&reader.tables[1], NOTES);
	ck_assert_uint_eq(tally.frames, 7);
	ck_assert_uint_eq(tally.rows, 10);
	ck_assert_uint_eq(tally.text, strlen(PATIENTS NOTES));
	ck_assert_uint_eq(tally.withheld + tally.withheld_rows, 0);
	ck_assert(summary.frames == 7 && summary.rows == 10 && summary.text == tally.text && summary.size == bytes.len);
	(void)close(fd);
}
END_TEST

START_TEST(says_what_it_is)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_header wanted = fix_header("archive one");
	int fd = fd_of(bytes.s, bytes.len);
	enum archive_verdict verdict;
	const struct archive_header *h;
	uint8_t signers[2][ED25519_KEY_SIZE], key[32];

	named_public("somebody", signers[0]);
	named_public("signer", signers[1]);
	ck_assert_msg(archive_open(&archive, fd, signers, 2, &verdict, &err) == 0, "%s", err.msg);
	h = archive_header(archive);
	ck_assert_str_eq(h->instance, wanted.instance);
	ck_assert(h->kind == ARCHIVE_BACKUP && h->generation == 900 && h->created == 1790000000);
	ck_assert(h->system_identifier == wanted.system_identifier && h->lsn == wanted.lsn);
	ck_assert(memcmp(h->id, wanted.id, 32) == 0 && memcmp(h->map_hash, wanted.map_hash, 32) == 0 &&
		memcmp(h->schema_hash, wanted.schema_hash, 32) == 0);
	ck_assert(memcmp(archive_hash(archive), summary.hash, 32) == 0 && memcmp(archive_signer(archive), signers[1], 32) == 0);
	/* nothing of the index without its key */
	ck_assert_uint_eq(archive_tables(archive) + archive_frames(archive), 0);
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &(struct archive_reading){ 0 }, &tally, &verdict, &err), -1);
	named_key("generation", key);
	ck_assert_msg(archive_unlock(archive, key, &verdict, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), -1);
	ck_assert_uint_eq(archive_tables(archive), 2);
	ck_assert_str_eq(archive_table(archive, 1)->name, "app.note");
	ck_assert_uint_eq(archive_table(archive, 1)->n_columns, 2);
	ck_assert(archive_table(archive, 0)->one_owner && !archive_table(archive, 1)->one_owner);
	ck_assert_str_eq(archive_table(archive, 1)->columns[1].name, "body");
	ck_assert_str_eq(archive_table(archive, 1)->columns[1].type, "character varying(200)");
	ck_assert(archive_table(archive, 1)->rows == 6 && archive_table(archive, 1)->text == strlen(NOTES));
	ck_assert_uint_eq(archive_frames(archive), 7);
	(void)close(fd);
}
END_TEST

START_TEST(shredded_owners_are_withheld)
{
	int fd = fd_of(bytes.s, bytes.len);

	reader.withheld = DROPPED;
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	is_text(&reader.tables[0], "1\tpatient number 1\n2\tpatient number 2\n4\tpatient number 4\n");
	is_text(&reader.tables[1], "1\tsleeps badly\n1\tsleeps less\n4\tsleeps badly\n4\tsleeps well\n");
	ck_assert(tally.frames == 5 && tally.rows == 7 && tally.withheld == 2 && tally.withheld_rows == 3);
	(void)close(fd);
}
END_TEST

START_TEST(one_table_and_one_frame)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_reading reading = reading_of(&reader);
	int fd = fd_of(bytes.s, bytes.len);
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	enum archive_verdict verdict;
	struct archive_frame frame;

	named_public("signer", signer[0]);
	named_key("generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), 0);
	ck_assert_int_eq(archive_read(archive, 1, &reading, &tally, &verdict, &err), 0);
	is_text(&reader.tables[0], "");
	is_text(&reader.tables[1], NOTES);
	ck_assert(tally.frames == 3 && tally.rows == 6);
	ck_assert_int_eq(archive_frame(archive, 7, &frame, &verdict, &err), -1);
	ck_assert_int_eq(archive_frame(archive, 2, &frame, &verdict, &err), 0);
	ck_assert(frame.number == 2 && frame.leaf == 3 && frame.table == 0 && frame.rows == 1 && frame.file == 0);
	ck_assert_int_eq(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err), 0);
	is_text(&reader.tables[0], "3\tpatient number 3\n");
	reading.text = NULL;
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err), 0);
	ck_assert_uint_eq(tally.rows, 10);
	(void)close(fd);
}
END_TEST

START_TEST(nothing_in_it)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	int fd;

	summary = fix_end(fix_writer("empty", &out));
	ck_assert_uint_eq(summary.frames, 0);
	fd = fd_of(out.s, out.len);
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	ck_assert_uint_eq(tally.frames, 0);
	(void)close(fd);
}
END_TEST

START_TEST(no_clear_text_and_no_name_is_left)
{
	static const char *const words[] = { "patient", "sleeps", "app.", "bigint", "character" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_msg(memmem(bytes.s, bytes.len, words[i], strlen(words[i])) == NULL, "\"%s\" in clear", words[i]);
}
END_TEST

/* This file must be opened for ever; EXPUNGE_WRITE_VECTOR=1 makes it anew, for a new version of the format. */
START_TEST(the_kept_file_opens)
{
	int fd;

	if (getenv("EXPUNGE_WRITE_VECTOR") != NULL) {
		fd = open(VECTOR, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		ck_assert_int_eq(write(fd, bytes.s, bytes.len), (ssize_t)bytes.len);
		(void)close(fd);
	}
	fd = open(VECTOR, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	is_text(&reader.tables[0], PATIENTS);
	is_text(&reader.tables[1], NOTES);
	ck_assert(tally.frames == 7 && tally.rows == 10);
	(void)close(fd);
}
END_TEST

/* A program that shares nothing but doc/archive.md opens it as well. */
START_TEST(another_program_opens_it)
{
	char path[] = "/tmp/expunge-archive.XXXXXX", hex[65];
	int fd = mkstemp(path);
	CLEANUP(free_text) char *command = mem_printf("python3 doc/open-archive.py %s " VECTOR, path);
	FILE *keys = fdopen(fd, "w"), *out;
	uint8_t key[32];
	char text[1000];
	size_t n;

	if (system("python3 -c 'import cryptography' 2>/dev/null && command -v zstd >/dev/null") == 0) {
		named_public("signer", key);
		bytes_to_hex(key, 32, hex);
		ck_assert_int_gt(fprintf(keys, "signer %s\n", hex), 0);
		named_key("generation", key);
		bytes_to_hex(key, 32, hex);
		ck_assert_int_gt(fprintf(keys, "generation %s\n", hex), 0);
		leaf_key(2, key);
		bytes_to_hex(key, 32, hex);
		ck_assert_int_gt(fprintf(keys, "leaf 2 %s\n", hex), 0);
		ck_assert_int_eq(fflush(keys), 0);
		out = popen(command, "re");
		n = fread(text, 1, sizeof(text) - 1, out);
		text[n] = '\0';
		ck_assert_int_eq(pclose(out), 0);
		ck_assert_str_eq(text, "-- app.patient (id bigint, name text)\n2\tpatient number 2\n"
				       "-- app.note (patient_id bigint, body character varying(200))\n-- 6 of 7 frames withheld\n");
	}
	(void)fclose(keys);
	(void)unlink(path);
}
END_TEST

/* ---- the writer's own refusals ------------------------------------------------------------- */

static int
fail_at_footer(void *ctx, const void *text, size_t n, struct err *e)
{
	size_t *left = ctx;

	(void)text;
	if (n > *left)
		return err_set(e, ERR_FAILED, "the disk is full");
	*left -= n;
	return 0;
}

START_TEST(every_place_gets_the_same)
{
	CLEANUP(str_release) struct str a = STR_INIT;
	CLEANUP(str_release) struct str b = STR_INIT;
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	struct archive_sink sinks[] = { str_sink(&a), str_sink(&b) };
	struct archive_header header = fix_header("two");
	struct archive_writer *writer = NULL;
	uint8_t key[32];

	named_key("generation", key);
	ck_assert_int_eq(archive_write_begin(&writer, &header, key, sinks, 0, &err), -1);
	ck_assert_int_eq(archive_write_begin(&writer, &header, key, sinks, 2, &err), 0);
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), 0);
	ck_assert(a.len == summary.size && a.len == b.len && memcmp(a.s, b.s, a.len) == 0);
	/* done is done */
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), -1);
	archive_writer_free(writer);
}
END_TEST

START_TEST(a_place_that_fails_spoils_it)
{
	CLEANUP(str_release) struct str a = STR_INIT;
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	CLEANUP(archive_writer_freep) struct archive_writer *writer = NULL;
	struct archive_header header = fix_header("full");
	size_t left = _i == 0 ? 100 : 300;
	struct archive_sink sinks[] = { str_sink(&a), { fail_at_footer, &left } };
	uint8_t key[32];

	named_key("generation", key);
	ck_assert_int_eq(archive_write_begin(&writer, &header, key, sinks, 2, &err), 0);
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "writing an archive: the disk is full"));
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "it has failed before"));
}
END_TEST

static int
wrong_call(struct archive_writer *w, int n)
{
	struct archive_table bad = { (char *)(uintptr_t) "\xff", NULL, 0, false, 0, 0 };
	uint8_t key[32] = { 1 };
	uint32_t number;
	char long_name[ARCHIVE_NAME_MAX + 2];

	switch (n) {
	case 0:
		return archive_write_frame_text(w, "x\n", 2, &err); /* no frame */
	case 1:
		return archive_write_frame_table(w, 0, &err);
	case 2:
		return archive_write_frame_end(w, &err);
	case 3:
		return archive_write_table(w, &bad, &number, &err);
	case 4:
		return archive_write_frame_begin(w, 0, key, &err);
	case 5:
		(void)memset(long_name, 'x', sizeof(long_name) - 1);
		long_name[sizeof(long_name) - 1] = '\0';
		bad.name = long_name;
		return archive_write_table(w, &bad, &number, &err);
	default:
		break;
	}
	ck_assert_int_eq(archive_write_frame_begin(w, 1, key, &err), 0);
	switch (n) {
	case 6:
		return archive_write_frame_table(w, 2, &err);
	case 7:
		return archive_write_frame_text(w, "x\n", 2, &err); /* no table */
	case 8:
		return archive_write_frame_begin(w, 1, key, &err);
	case 9:
		return archive_write_end(w, NULL, &summary, &err);
	default:
		break;
	}
	ck_assert_int_eq(archive_write_frame_table(w, 0, &err), 0);
	ck_assert_int_eq(archive_write_frame_text(w, "half a row", 10, &err), 0);
	return n == 10 ? archive_write_frame_end(w, &err) : archive_write_frame_table(w, 1, &err);
}

START_TEST(wrong_calls_spoil_it)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	CLEANUP(str_release) struct str out = STR_INIT;
	CLEANUP(archive_writer_freep) struct archive_writer *writer = fix_writer("wrong", &out);

	ck_assert_int_eq(wrong_call(writer, _i), -1);
	ck_assert_msg(strncmp(err.msg, "writing an archive: ", 20) == 0, "%s", err.msg);
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), -1);
}
END_TEST

START_TEST(wrong_headers_are_refused)
{
	struct archive_header h = fix_header("wrong");
	struct archive_sink sink = str_sink(&bytes);
	struct archive_writer *writer = NULL;
	uint8_t key[32] = { 1 };

	switch (_i) {
	case 0:
		h.kind = (enum archive_kind)0;
		break;
	case 1:
		h.kind = (enum archive_kind)4;
		break;
	case 2:
		h.generation = 0;
		break;
	case 3:
		h.created = -1;
		break;
	default:
		h.instance[35] = '\0';
		break;
	}
	ck_assert_int_eq(archive_write_begin(&writer, &h, key, &sink, 1, &err), -1);
	ck_assert_ptr_null(writer);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archive");
	TCase *tc = tcase_create("archive");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, comes_back);
	tcase_add_test(tc, says_what_it_is);
	tcase_add_test(tc, shredded_owners_are_withheld);
	tcase_add_test(tc, one_table_and_one_frame);
	tcase_add_test(tc, nothing_in_it);
	tcase_add_test(tc, no_clear_text_and_no_name_is_left);
	tcase_add_test(tc, the_kept_file_opens);
	tcase_add_test(tc, another_program_opens_it);
	tcase_add_test(tc, every_place_gets_the_same);
	tcase_add_loop_test(tc, a_place_that_fails_spoils_it, 0, 2);
	tcase_add_loop_test(tc, wrong_calls_spoil_it, 0, 12);
	tcase_add_loop_test(tc, wrong_headers_are_refused, 0, 5);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
