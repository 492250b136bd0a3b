/* lib/archive: archives that refer to frames of earlier ones: their rows come back, under their own keys only; every way in which
 * the earlier file is another is found out. */
#include <fcntl.h>
#include <stdio.h>

#include "archive/content.h"
#include "archive_fixture.h"

#define EARLIER_TABLES "1\tpatient number 1\n2\tpatient number 2\n3\tpatient number 3\n4\tpatient number 4\n"

static struct err err;
static struct str first, second; /* the earlier one, and one that refers to it */
static struct archive_file file;
static int first_fd, second_fd;
static struct archive *earlier, *archive;
static struct reader reader;
static struct archive_tally tally;
static enum archive_verdict verdict;
static uint8_t signer[1][ED25519_KEY_SIZE], generation[32];

/* A frame of the earlier archive, as a reference. */
static struct archive_reference
reference_to(uint64_t number, struct archive_share *share, uint8_t *key_of_leaf, uint8_t *frame_key)
{
	struct archive_reference r = { .leaf_key = key_of_leaf, .frame_key = frame_key, .shares = share, .n_shares = 1 };
	bool authentic = false;

	ck_assert_int_eq(archive_frame(earlier, number, &r.frame, &verdict, &err), 0);
	leaf_key(r.frame.leaf, key_of_leaf);
	ck_assert_int_eq(archive_frame_key(earlier, &r.frame, key_of_leaf, frame_key, &authentic, &err), 0);
	ck_assert(authentic);
	r.frame.file = 1;
	*share = (struct archive_share){ r.frame.table, r.frame.rows, r.frame.text };
	return r;
}

/* All frames of the earlier one, and one of its own between. */
static void
write_second(void)
{
	struct archive_writer *writer = fix_writer("archive two", &second);
	uint8_t leaf[32], frame[32];
	struct archive_share share;
	struct archive_summary summary;
	uint32_t number = 0;

	ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), 0);
	ck_assert_uint_eq(number, 1);
	for (uint64_t i = 0; i < archive_frames(earlier); i++) {
		const struct archive_reference r = reference_to(i, &share, leaf, frame);

		ck_assert_msg(archive_write_reference(writer, &r, &err) == 0, "%s", err.msg);
		if (i == 3)
			fix_frame(writer, 2, 1, "2\tnew\n", 6);
	}
	summary = fix_end(writer);
	ck_assert(summary.frames == 8 && summary.referred == 7 && summary.rows == 11 && summary.size < first.len);
}

static void
set_up(void)
{
	struct archive_summary summary;

	err_clear(&err);
	first = second = (struct str)STR_INIT;
	reader = (struct reader){ 0 };
	summary = fix_archive("archive one", &first);
	named_public("signer", signer[0]);
	named_key("generation", generation);
	named_key("archive one", file.id);
	(void)memcpy(file.hash, summary.hash, SHA256_SIZE);
	file.size = summary.size;
	first_fd = fd_of(first.s, first.len);
	ck_assert_int_eq(archive_open_index(&earlier, first_fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(earlier, generation, &verdict, &err), 0);
	write_second();
	second_fd = fd_of(second.s, second.len);
	ck_assert_int_eq(archive_open(&archive, second_fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, generation, &verdict, &err), 0);
}

static void
tear_down(void)
{
	archive_closep(&archive);
	archive_closep(&earlier);
	(void)close(first_fd);
	(void)close(second_fd);
	str_release(&first);
	str_release(&second);
	reader_release(&reader);
}

/* The verdict on all frames, with the earlier file as `source` has it. */
static enum archive_verdict
read_with(struct archive_source *source)
{
	const struct archive_reading reading = reading_of(&reader);

	archive_attach(archive, 1, source);
	ck_assert(archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) == (verdict == ARCHIVE_OK ? 0 : -1));
	return verdict;
}

START_TEST(rows_come_back)
{
	struct archive_source source = { .file = file, .fd = first_fd };

	ck_assert_uint_eq(archive_files(archive), 1);
	ck_assert(memcmp(archive_file(archive, 0), &file, sizeof(file)) == 0);
	ck_assert_msg(read_with(&source) == ARCHIVE_OK, "%s", err.msg);
	ck_assert_str_eq(str_cstr(&reader.tables[0]), EARLIER_TABLES);
	ck_assert_ptr_nonnull(strstr(str_cstr(&reader.tables[1]), "2\tnew\n"));
	ck_assert(tally.frames == 8 && tally.rows == 11);
	ck_assert(archive_table(archive, 0)->rows == 4 && archive_table(archive, 1)->rows == 7);
	free(source.opened);
}
END_TEST

START_TEST(a_shredded_leaf_is_withheld_here_too)
{
	struct archive_source source = { .file = file, .fd = first_fd };

	reader.withheld = DROPPED;
	ck_assert_int_eq(read_with(&source), ARCHIVE_OK);
	ck_assert_ptr_null(strstr(str_cstr(&reader.tables[0]), "number 3"));
	ck_assert(tally.withheld == 2 && tally.withheld_rows == 3 && tally.frames == 6);
	free(source.opened);
}
END_TEST

START_TEST(without_the_file_its_frames_cannot_be_read)
{
	ck_assert_int_eq(read_with(NULL), ARCHIVE_UNREADABLE);
	ck_assert_ptr_nonnull(strstr(err.msg, "lies in another archive"));
}
END_TEST

/* Every byte of the earlier file's frames counts, and so does whose file it is. */
START_TEST(another_file_opens_nothing)
{
	struct archive_source source = { .file = file, .fd = -1 };
	struct archive_frame frame;

	ck_assert_int_eq(archive_frame(earlier, 6, &frame, &verdict, &err), 0);
	for (uint64_t at = FORMAT_HEADER_SIZE; at < frame.offset + frame.length; at++) {
		first.s[at] ^= 1;
		source.fd = fd_of(first.s, first.len);
		ck_assert_msg(read_with(&source) == ARCHIVE_ALTERED, "byte %llu", (unsigned long long)at);
		first.s[at] ^= 1;
		(void)close(source.fd);
	}
	source.fd = first_fd;
	source.file.id[0] ^= 1;
	ck_assert_int_eq(read_with(&source), ARCHIVE_ALTERED);
	source.file.id[0] ^= 1;
	source.file.size = frame.offset + 10;
	ck_assert_int_eq(read_with(&source), ARCHIVE_ALTERED);
	free(source.opened);
}
END_TEST

/* A check opens a frame once for all archives that refer to it; one whose key is another is opened, and found out. */
START_TEST(a_check_remembers_what_it_has_opened)
{
	const struct archive_reading check = { give_key, NULL, &reader };
	struct archive_source source = { .file = file, .fd = first_fd };

	archive_attach(archive, 1, &source);
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &check, &tally, &verdict, &err), 0);
	ck_assert_uint_eq(source.n_opened, 7);
	source.fd = -1; /* not read again */
	ck_assert_msg(archive_read(archive, ARCHIVE_SEVERAL, &check, &tally, &verdict, &err) == 0, "%s", err.msg);
	ck_assert(tally.frames == 8 && tally.rows == 11);
	(void)memset(source.opened, 0, source.room * sizeof(*source.opened));
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &check, &tally, &verdict, &err), -1);
	free(source.opened);
}
END_TEST

/* Every part of its entry counts, although its key is the one that was opened; and its key. */
START_TEST(a_check_does_not_believe_another_entry)
{
	const struct archive_reading check = { give_key, NULL, &reader };
	struct archive_source source = { .file = file, .fd = first_fd };
	CLEANUP(str_release) struct str third = STR_INIT;
	CLEANUP(archive_closep) struct archive *other = NULL;
	struct archive_writer *writer = fix_writer("archive three", &third);
	uint8_t leaf[32], frame[32];
	struct archive_share share;
	struct archive_reference r = reference_to(1, &share, leaf, frame);
	uint32_t number;
	int fd;

	r.frame.offset += _i == 1;
	r.frame.length -= _i == 2;
	share.rows = r.frame.rows += _i == 3;
	share.text = r.frame.text -= _i == 4;
	frame[0] ^= _i == 5;
	ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), 0);
	ck_assert_int_eq(archive_write_reference(writer, &r, &err), 0);
	(void)fix_end(writer);
	fd = fd_of(third.s, third.len);
	ck_assert_int_eq(archive_open(&other, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(other, generation, &verdict, &err), 0);
	archive_attach(archive, 1, &source);
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &check, &tally, &verdict, &err), 0);
	archive_attach(other, 1, &source);
	ck_assert_int_eq(archive_read(other, ARCHIVE_SEVERAL, &check, &tally, &verdict, &err), _i == 0 ? 0 : -1);
	ck_assert_int_eq(verdict, _i == 0 ? ARCHIVE_OK : ARCHIVE_ALTERED);
	free(source.opened);
	(void)close(fd);
}
END_TEST

START_TEST(the_writer_refuses_what_does_not_add_up)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	CLEANUP(archive_writer_freep) struct archive_writer *writer = fix_writer("archive three", &out);
	uint8_t leaf[32], frame[32];
	struct archive_share share;
	struct archive_reference r = reference_to(0, &share, leaf, frame);
	uint32_t number;

	if (_i > 0)
		ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), 0);
	if (_i == 1)
		share.rows++;
	if (_i == 2)
		share.text--;
	if (_i == 3)
		share.table = 2;
	if (_i == 4)
		r.frame.file = 2;
	if (_i == 5)
		r.frame.file = 0;
	ck_assert_int_eq(archive_write_reference(writer, &r, &err), -1);
	ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), -1);
}
END_TEST

START_TEST(no_more_files_than_the_format_has)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	CLEANUP(archive_writer_freep) struct archive_writer *writer = fix_writer("archive three", &out);
	uint32_t number;

	for (int i = 0; i < ARCHIVE_FILES_MAX; i++)
		ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), 0);
	ck_assert_uint_eq(number, ARCHIVE_FILES_MAX);
	ck_assert_int_eq(archive_write_file(writer, &file, &number, &err), -1);
}
END_TEST

static void
tag_of(const char *leaf, const struct content *parts, size_t n, uint8_t ret[ARCHIVE_TAG_SIZE])
{
	uint8_t key[32];

	named_key(leaf, key);
	ck_assert_int_eq(content_tag(key, parts, n, ret, &err), 0);
}

/* rows in another order are the same; anything else is not */
START_TEST(tags)
{
	const struct content base[] = { { 0, "a\nbb\nb\n", 7 }, { 1, "x\n", 2 } };
	const struct content same[] = { { 0, "b\na\nbb\n", 7 }, { 1, "x\n", 2 } };
	const struct content others[][2] = {
		{ { 0, "a\nbb\nc\n", 7 }, { 1, "x\n", 2 } }, { { 2, "a\nbb\nb\n", 7 }, { 1, "x\n", 2 } },
		{ { 0, "a\nbb\n", 5 }, { 1, "b\nx\n", 4 } }, { { 1, "x\n", 2 }, { 0, "a\nbb\nb\n", 7 } },
		{ { 0, "a\nb\nbb\nb\n", 9 }, { 1, "x\n", 2 } }, { { 0, "a\nbbb\n\n", 7 }, { 1, "x\n", 2 } } };
	uint8_t wanted[ARCHIVE_TAG_SIZE], tag[ARCHIVE_TAG_SIZE];

	tag_of("leaf 1", base, 2, wanted);
	tag_of("leaf 1", same, 2, tag);
	ck_assert_mem_eq(tag, wanted, sizeof(tag));
	tag_of("leaf 2", base, 2, tag);
	ck_assert_mem_ne(tag, wanted, sizeof(tag));
	tag_of("leaf 1", base, 1, tag);
	ck_assert_mem_ne(tag, wanted, sizeof(tag));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		tag_of("leaf 1", others[i], 2, tag);
		ck_assert_msg(memcmp(tag, wanted, sizeof(tag)) != 0, "%zu", i);
	}
}
END_TEST

/* A program that shares nothing but doc/archive.md opens both together. */
START_TEST(another_program_opens_both)
{
	char path[] = "/tmp/expunge-archive.XXXXXX", hex[65];
	CLEANUP(free_text) char *command = NULL;
	int fd = mkstemp(path);
	FILE *keys = fdopen(fd, "w"), *out;
	char text[1000];
	size_t n;
	uint8_t key[32];

	/* the files are in memory: the program inherits them */
	ck_assert(fcntl(first_fd, F_SETFD, 0) == 0 && fcntl(second_fd, F_SETFD, 0) == 0);
	command = mem_printf("python3 doc/open-archive.py %s /proc/self/fd/%d /proc/self/fd/%d", path, second_fd, first_fd);
	if (system("python3 -c 'import cryptography' 2>/dev/null && command -v zstd >/dev/null") == 0) {
		bytes_to_hex(signer[0], 32, hex);
		ck_assert_int_gt(fprintf(keys, "signer %s\n", hex), 0);
		bytes_to_hex(generation, 32, hex);
		ck_assert_int_gt(fprintf(keys, "generation %s\n", hex), 0);
		leaf_key(2, key);
		bytes_to_hex(key, 32, hex);
		ck_assert_int_gt(fprintf(keys, "leaf 2 %s\n", hex), 0);
		ck_assert_int_eq(fflush(keys), 0);
		out = popen(command, "r");
		n = fread(text, 1, sizeof(text) - 1, out);
		text[n] = '\0';
		ck_assert_int_eq(pclose(out), 0);
		ck_assert_str_eq(text, "-- app.patient (id bigint, name text)\n2\tpatient number 2\n"
				       "-- app.note (patient_id bigint, body character varying(200))\n2\tnew\n-- 6 of 8 frames withheld\n");
	}
	(void)fclose(keys);
	(void)unlink(path);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archive references");
	TCase *tc = tcase_create("references");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, rows_come_back);
	tcase_add_test(tc, a_shredded_leaf_is_withheld_here_too);
	tcase_add_test(tc, without_the_file_its_frames_cannot_be_read);
	tcase_add_test(tc, another_file_opens_nothing);
	tcase_add_test(tc, a_check_remembers_what_it_has_opened);
	tcase_add_loop_test(tc, a_check_does_not_believe_another_entry, 0, 6);
	tcase_add_loop_test(tc, the_writer_refuses_what_does_not_add_up, 0, 6);
	tcase_add_test(tc, no_more_files_than_the_format_has);
	tcase_add_test(tc, tags);
	tcase_add_test(tc, another_program_opens_both);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
