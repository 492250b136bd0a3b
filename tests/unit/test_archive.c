/* lib/archive: what is sealed comes back to whoever has the keys, and to nobody else; all else is named. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

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

/* One frame of both tables, taking turns; a row of 3 MiB; text in bits that no boundary minds. */
START_TEST(large_rows_and_several_tables)
{
	CLEANUP(str_release) struct str large = STR_INIT;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct archive_writer *writer = fix_writer("large", &out);
	uint8_t key[32];
	int fd;

	str_add(&large, "1\t");
	for (uint32_t i = 0, x = 1; i < 400000; i++, x = x * 1664525u + 1013904223u)
		str_addf(&large, "%08x", (unsigned)x);
	str_add(&large, "\n2\tx\n");
	leaf_key(8, key);
	ck_assert_int_eq(archive_write_frame_begin(writer, 8, key, &err), 0);
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert_int_eq(archive_write_frame_table(writer, i % 2, &err), 0);
		ck_assert_int_eq(archive_write_frame_text(writer, "8\tbefore\n", 9, &err), 0);
	}
	ck_assert_int_eq(archive_write_frame_table(writer, 1, &err), 0);
	for (size_t at = 0, n; at < large.len; at += n) {
		n = large.len - at < 65537 ? large.len - at : 65537;
		ck_assert_int_eq(archive_write_frame_text(writer, large.s + at, n, &err), 0);
	}
	ck_assert_int_eq(archive_write_frame_text(writer, NULL, 0, &err), 0);
	ck_assert_msg(archive_write_frame_end(writer, &err) == 0, "%s", err.msg);
	/* an owner without rows */
	ck_assert_int_eq(archive_write_frame_begin(writer, 9, key, &err), 0);
	ck_assert_int_eq(archive_write_frame_end(writer, &err), 0);
	summary = fix_end(writer);
	ck_assert(summary.rows == 7 && summary.frames == 2);

	fd = fd_of(out.s, out.len);
	reader.wrong = 0;
	reader.withheld = 9;
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	is_text(&reader.tables[0], "8\tbefore\n8\tbefore\n8\tbefore\n");
	ck_assert_uint_eq(reader.tables[1].len, large.len + 18);
	ck_assert_int_eq(memcmp(reader.tables[1].s + 18, large.s, large.len), 0);
	ck_assert_uint_gt(reader.n_texts, 8);
	ck_assert(tally.rows == 7 && tally.withheld == 1 && tally.withheld_rows == 0);
	(void)close(fd);
}
END_TEST

/* Every length around that of a chunk, of text that compresses and of text that does not. */
START_TEST(chunks_end_anywhere)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct archive_writer *writer = fix_writer("chunks", &out);
	int fd;

	for (uint32_t i = 0, x = 1; i < 2200000; i++, x = x * 1664525u + 1013904223u) {
		char c = _i == 0 ? 'a' : (char)(x >> 24);

		str_add_n(&text, c == '\n' ? " " : &c, 1);
	}
	text.s[0] = '\n';
	for (int64_t leaf = 1; leaf <= 24; leaf++) /* written from behind: what ends with the one line end */
		for (size_t i = 0; i < 1; i++) {
			size_t n = 1048576 * (size_t)(1 + leaf % 2) - 20 + (size_t)leaf;

			text.s[n - 1] = '\n';
			fix_frame(writer, leaf, (uint32_t)(leaf % 2), text.s, n);
			text.s[n - 1] = 'a';
		}
	summary = fix_end(writer);
	fd = fd_of(out.s, out.len);
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	ck_assert(tally.rows == 48 && tally.frames == 24 && tally.text == summary.text);
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
	struct archive_table bad = { (char *)(uintptr_t) "\xff", NULL, 0, 0, 0 };
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

/* ---- size ---------------------------------------------------------------------------------- */

static int
write_to_fd(void *ctx, const void *text, size_t n, struct err *e)
{
	return write(*(int *)ctx, text, n) == (ssize_t)n ? 0 : err_sys(e, "write");
}

static int
same_key(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *e)
{
	(void)e;
	(void)memset(ret_key, 1, 32);
	return leaf % *(int64_t *)ctx == 0 ? 0 : 1;
}

static long
peak_kib(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* A tenant of 50,000 subjects with four tables: 200,000 frames, an index of 20 MB. */
START_TEST(memory_does_not_grow)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_header header = fix_header("large");
	struct archive_writer *writer = NULL;
	const struct archive_table table = { (char *)(uintptr_t) "app.note", NULL, 0, 0, 0 };
	int64_t n_leaves = 50000 / (int64_t)stride(), dropped = 1000;
	struct archive_reading reading = { same_key, NULL, &dropped };
	char path[] = "/tmp/expunge-archive.XXXXXX", row[200];
	int fd = mkstemp(path);
	struct archive_sink sink = { write_to_fd, &fd };
	enum archive_verdict verdict;
	uint8_t key[32], signers[1][ED25519_KEY_SIZE];
	uint32_t number;
	long before = peak_kib(), written;

	(void)unlink(path);
	(void)memset(key, 1, sizeof(key));
	named_public("signer", signers[0]);
	ck_assert_int_eq(archive_write_begin(&writer, &header, key, &sink, 1, &err), 0);
	for (int t = 0; t < 4; t++)
		ck_assert_int_eq(archive_write_table(writer, &table, &number, &err), 0);
	for (uint32_t t = 0; t < 4; t++)
		for (int64_t leaf = 1; leaf <= n_leaves; leaf++) {
			int n = snprintf(row, sizeof(row), "%lld\t%lld\tsome text of the patient %lld\n", (long long)leaf,
				(long long)(leaf * 7919), (long long)(leaf * leaf));

			ck_assert(archive_write_frame_begin(writer, leaf, key, &err) == 0 &&
				archive_write_frame_table(writer, t, &err) == 0 &&
				archive_write_frame_text(writer, row, (size_t)n, &err) == 0 && archive_write_frame_end(writer, &err) == 0);
		}
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), 0);
	archive_writer_free(writer);
	written = peak_kib();
	ck_assert_msg(archive_open(&archive, fd, signers, 1, &verdict, &err) == 0 &&
			archive_unlock(archive, key, &verdict, &err) == 0 &&
		archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(tally.frames + tally.withheld, (uint64_t)n_leaves * 4);
	ck_assert_uint_eq(tally.withheld, (uint64_t)(n_leaves / dropped) * 4);
	(void)close(fd);
	printf("%llu frames, %llu bytes: peak %ld KiB before, %ld written, %ld read\n", (unsigned long long)summary.frames,
		(unsigned long long)summary.size, before, written, peak_kib());
#if !defined(__SANITIZE_ADDRESS__)
	if (getenv("EXPUNGE_TEST_STRIDE") == NULL)
		ck_assert_int_le(peak_kib() - before, 32 * 1024);
#endif
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archive");
	TCase *tc = tcase_create("archive");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, comes_back);
	tcase_add_test(tc, says_what_it_is);
	tcase_add_test(tc, shredded_owners_are_withheld);
	tcase_add_test(tc, one_table_and_one_frame);
	tcase_add_test(tc, large_rows_and_several_tables);
	tcase_add_loop_test(tc, chunks_end_anywhere, 0, 2);
	tcase_add_test(tc, nothing_in_it);
	tcase_add_test(tc, no_clear_text_and_no_name_is_left);
	tcase_add_test(tc, the_kept_file_opens);
	tcase_add_test(tc, every_place_gets_the_same);
	tcase_add_loop_test(tc, a_place_that_fails_spoils_it, 0, 2);
	tcase_add_loop_test(tc, wrong_calls_spoil_it, 0, 12);
	tcase_add_loop_test(tc, wrong_headers_are_refused, 0, 5);
	tcase_add_test(tc, memory_does_not_grow);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
