/* keys: root shares; every single bad replica, every verdict, destroying for good. */
#include "root_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "keys/root_file.h"

#define NAME_1 "root.1.00000000000000000000000000000001"

static const struct root_id first = { 1, "00000000000000000000000000000001" };
static const struct root_id second = { 2, "00000000000000000000000000000002" };
static uint8_t root_1[ROOT_SIZE];

static void
set_up(void)
{
	directory_make();
	err_clear(&err);
}

static void
tear_down(void)
{
	root_closep(&store);
	directory_remove();
}

/* Two shares of two replicas, and the root of epoch 1. */
static void
start_usual(void)
{
	start(2, 2);
	create(&first, root_1);
}

/* ---- making and reading -------------------------------------------------------------------- */

START_TEST(round_trip)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	bool whole = false;

	start((size_t)_i, 2);
	ck_assert_uint_eq(root_shares(store), (unsigned)_i);
	ck_assert_str_eq(root_driver_name(store), _i == 1 ? "file" : "split");
	create(&first, root_1);
	ck_assert_int_eq(verdict_of(&first, root_1, &report), ROOT_PRESENT);
	ck_assert_uint_eq(report.n, (size_t)_i * 2);
	ck_assert_uint_eq(root_report_problems(&report), 0);
	for (size_t i = 0; i < report.n; i++)
		ck_assert_int_eq(report.replicas[i].state, ROOT_GOOD);
	ck_assert_int_eq(root_is_whole(store, &first, &whole, &err), 0);
	ck_assert(whole);
	ck_assert(shell("test $(find . -name 'root.1.*' -perm 600 -size 144c -links 1 | wc -l) = %d", _i * 2));
	ck_assert(shell("test $(find . -type f | wc -l) = %d", _i * 4));
	ck_assert(shell("cmp s1r1/" NAME_1 " s1r2/" NAME_1));
	ck_assert_int_eq(verdict_of(&second, NULL, NULL), ROOT_DESTROYED);
}
END_TEST

static void
read_record(const char *place, const struct root_id *id, struct root_record *ret)
{
	CLEANUP(free_text) char *name = root_record_name(id, false), *at = in_directory(place), *path = file_join(at, name);
	CLEANUP(free_text) char *bytes = NULL;
	size_t n = 0;

	ck_assert_msg(file_read(path, 1000, &bytes, &n, &err) == 0, "%s", err.msg);
	ck_assert_msg(root_record_parse((const uint8_t *)bytes, n, ret, &err) == 0, "%s", err.msg);
}

static void
write_record(const char *place, const struct root_id *name, const struct root_record *record)
{
	CLEANUP(free_text) char *file = root_record_name(name, false), *at = in_directory(place), *path = file_join(at, file);
	uint8_t bytes[ROOT_RECORD_SIZE];

	ck_assert_int_eq(root_record_write(record, bytes, &err), 0);
	ck_assert_int_eq(file_write(path, bytes, sizeof(bytes), 0600, false, &err), 0);
}

START_TEST(all_shares_are_needed)
{
	struct root_record records[2][3];
	uint8_t roots[2][ROOT_SIZE];

	start(3, 1);
	create(&first, roots[0]);
	create(&second, roots[1]);
	for (int share = 0; share < 3; share++) {
		CLEANUP(free_text) char *place = mem_printf("s%dr1", share + 1);

		read_record(place, &first, &records[0][share]);
		read_record(place, &second, &records[1][share]);
	}
	ck_assert(memcmp(roots[0], roots[1], ROOT_SIZE) != 0);
	/* no subset but the whole gives the root, and no share comes twice */
	for (unsigned set = 0; set < 8; set++) {
		uint8_t sum[ROOT_SIZE] = { 0 };

		for (int share = 0; share < 3; share++)
			for (size_t i = 0; (set >> share & 1) != 0 && i < ROOT_SIZE; i++)
				sum[i] ^= records[0][share].bytes[i];
		ck_assert((memcmp(sum, roots[0], ROOT_SIZE) == 0) == (set == 7));
	}
	for (int a = 0; a < 6; a++)
		for (int b = 0; b < a; b++)
			ck_assert(memcmp(records[a / 3][a % 3].bytes, records[b / 3][b % 3].bytes, ROOT_SIZE) != 0);
}
END_TEST

/* ---- one bad replica ----------------------------------------------------------------------- */

static const struct {
	const char *name, *command; /* done to place s2r1 */
	enum root_state state;
	bool healed;
} harms[] = {
	{ "lost", "rm s2r1/" NAME_1, ROOT_ABSENT, true },
	{ "never finished", "mv s2r1/" NAME_1 " s2r1/." NAME_1 ".new", ROOT_LEFTOVER, true },
	{ "half never finished", "head -c 70 s2r1/" NAME_1 " >s2r1/." NAME_1 ".new; rm s2r1/" NAME_1, ROOT_LEFTOVER, true },
	{ "altered", "printf x | dd of=s2r1/" NAME_1 " bs=1 seek=90 conv=notrunc status=none", ROOT_DAMAGED, false },
	{ "empty", ": >s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "cut", "truncate -s 100 s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "longer", "printf x >>s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "a link", "mv s2r1/" NAME_1 " kept; ln -s ../kept s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "a directory", "rm s2r1/" NAME_1 "; mkdir s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "a pipe", "rm s2r1/" NAME_1 "; mkfifo s2r1/" NAME_1, ROOT_DAMAGED, false },
	{ "of another share", "cp s1r1/" NAME_1 " s2r1/", ROOT_STALE, false },
	{ "readable by others", "chmod 640 s2r1/" NAME_1, ROOT_UNREADABLE, false },
	{ "another user's (if we may make it so)", "chown 65534 s2r1/" NAME_1 " || chmod 640 s2r1/" NAME_1, ROOT_UNREADABLE, false },
	{ "not mounted", "mv s2r1 away; mkdir -m 700 s2r1", ROOT_NO_PLACE, false },
	{ "missing", "mv s2r1 away", ROOT_NO_PLACE, false },
	{ "its place a link", "mv s2r1 away; ln -s away s2r1", ROOT_NO_PLACE, false },
	{ "its place a file", "mv s2r1 away; touch s2r1", ROOT_NO_PLACE, false },
	{ "open to others", "chmod 770 s2r1", ROOT_NO_PLACE, false },
	{ "in the place of another replica", "mv s2r1 away; cp -a s2r2 s2r1", ROOT_NO_PLACE, false },
	{ "in the place of another share", "mv s2r1 away; cp -a s1r1 s2r1", ROOT_NO_PLACE, false },
	{ "its marker altered", "sed -i s/replica/Replica/ s2r1/expunge-root-share", ROOT_NO_PLACE, false },
	{ "its marker empty", ": >s2r1/expunge-root-share", ROOT_NO_PLACE, false },
	{ "its marker another instance's",
	  "printf 'expunge-root-share/v1\\ninstance: " OTHER_INSTANCE "\\nshare: 2\\nreplica: 1\\n' >m; "
	  "{ cat m; printf 'sha256: '; sha256sum <m | cut -d' ' -f1; } >s2r1/expunge-root-share", ROOT_NO_PLACE, false },
};

START_TEST(one_bad_replica_is_no_harm)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	CLEANUP(str_release) struct str text = STR_INIT;
	bool whole = true;
	size_t healed = 0;

	start_usual();
	ck_assert(shell("%s", harms[_i].command));
	ck_assert_int_eq(verdict_of(&first, root_1, &report), ROOT_PRESENT);
	ck_assert_str_eq(root_state_text(state_of(&report, 2, 1)), root_state_text(harms[_i].state));
	ck_assert_uint_eq(root_report_problems(&report), 1);
	root_report_add_text(&report, &text);
	ck_assert_msg(strncmp(text.s, "share 2, replica 1 (/tmp/", 25) == 0, "%s", text.s);
	ck_assert(root_is_whole(store, &first, &whole, &err) == 0 && !whole);
	ck_assert_int_eq(root_heal(store, &first, &healed, &report, &err), 0);
	ck_assert_uint_eq(healed, harms[_i].healed ? 1 : 0);
	ck_assert_int_eq(state_of(&report, 2, 1), harms[_i].healed ? ROOT_GOOD : harms[_i].state);
	ck_assert(!harms[_i].healed || (root_is_whole(store, &first, &whole, &err) == 0 && whole));
	ck_assert(!harms[_i].healed || shell("cmp s2r1/" NAME_1 " s2r2/" NAME_1 " && test $(ls -A s2r1 | wc -l) = 2"));
}
END_TEST

/* The same done to the other replica of share 2, too. */
START_TEST(all_replicas_of_a_share_bad)
{
	CLEANUP(free_text) char *other = mem_copy(harms[_i].command);
	enum root_state state = harms[_i].state;
	enum root_verdict verdict;

	if (strstr(harms[_i].command, "s2r2") != NULL)
		return; /* what takes the place of the other cannot be done to both */
	for (char *at = other; (at = strstr(at, "s2r1")) != NULL;)
		at[3] = '2';
	start_usual();
	ck_assert(shell("%s; rm -rf away; %s", harms[_i].command, other));
	verdict = verdict_of(&first, NULL, NULL);
	if (state == ROOT_ABSENT || state == ROOT_LEFTOVER)
		ck_assert_msg(verdict == ROOT_PARTIAL, "%s: %s", harms[_i].name, err.msg);
	else if (state == ROOT_NO_PLACE || state == ROOT_UNREADABLE)
		ck_assert_msg(verdict == ROOT_UNAVAILABLE, "%s: %s", harms[_i].name, err.msg);
	else
		ck_assert_msg(verdict == ROOT_ALTERED, "%s: %s", harms[_i].name, err.msg);
}
END_TEST

/* A record of another instance cannot be told from ours by its name. */
START_TEST(foreign_stale_and_disagreeing_records)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	struct root_record record;

	start_usual();
	create(&second, NULL);
	read_record("s1r2", &first, &record);
	(void)strcpy(record.instance, OTHER_INSTANCE);
	write_record("s1r2", &first, &record);
	read_record("s2r2", &second, &record);
	write_record("s2r2", &first, &record);
	ck_assert_int_eq(verdict_of(&first, root_1, &report), ROOT_PRESENT);
	ck_assert_int_eq(state_of(&report, 1, 2), ROOT_FOREIGN);
	ck_assert_int_eq(state_of(&report, 2, 2), ROOT_STALE);
	/* whole, of the right name, and wrong: in its share, in its check value, or in the number of shares */
	for (int n = 0; n < 3; n++) {
		read_record("s1r1", &first, &record);
		record.bytes[5] = (uint8_t)(record.bytes[5] ^ (n == 0));
		record.kcv[5] = (uint8_t)(record.kcv[5] ^ (n == 1));
		record.n_shares += n == 2;
		write_record("s1r2", &first, &record);
		ck_assert_int_eq(verdict_of(&first, root_1, &report), ROOT_PRESENT);
		ck_assert_int_eq(state_of(&report, 1, 2), ROOT_DISAGREES);
		ck_assert_int_eq(state_of(&report, 1, 1), ROOT_GOOD);
	}
}
END_TEST

START_TEST(shares_that_do_not_give_their_root_are_altered)
{
	struct root_record record;

	start(2, 1);
	create(&first, NULL);
	read_record("s1r1", &first, &record);
	record.bytes[0] ^= 1;
	write_record("s1r1", &first, &record);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_ALTERED);
	/* one share is of another root */
	record.bytes[0] ^= 1;
	record.kcv[0] ^= 1;
	write_record("s1r1", &first, &record);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_ALTERED);
}
END_TEST

START_TEST(two_whole_roots_of_one_name_are_none)
{
	struct root_record record;

	start(1, 2);
	create(&first, NULL);
	create(&second, NULL);
	read_record("s1r2", &second, &record);
	record.id = first;
	write_record("s1r2", &first, &record);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_ALTERED);
	ck_assert_ptr_nonnull(strstr(err.msg, "two of this name"));
}
END_TEST

/* ---- verdicts ------------------------------------------------------------------------------ */

static const struct {
	const char *command;
	enum root_verdict verdict;
} verdicts[] = {
	{ "rm s?r?/root.1.*", ROOT_DESTROYED },
	{ "rm s?r?/root.1.*; rm s2r2/expunge-root-share", ROOT_UNAVAILABLE },
	{ "rm s?r?/root.1.*; rm -r s1r1", ROOT_UNAVAILABLE },
	{ "rm s?r?/root.1.*; rm -r s?r?", ROOT_UNAVAILABLE },
	{ "rm s?r?/root.1.*; touch s1r1/." NAME_1 ".new", ROOT_PARTIAL },
	{ "rm s?r?/root.1.*; touch s1r1/" NAME_1 "; chmod 600 s1r1/root*", ROOT_ALTERED },
	{ "rm s1r?/root.1.*", ROOT_PARTIAL },
	{ "rm s1r?/root.1.* s2r1/root.1.*", ROOT_PARTIAL },
	{ "rm s1r?/root.1.*; rm -r s2r1", ROOT_UNAVAILABLE },
	{ "rm s1r1/root.1.*; rm s1r2/expunge-root-share", ROOT_UNAVAILABLE },
	{ "truncate -s 50 s1r1/root.1.*; rm s1r2/root.1.*", ROOT_ALTERED },
	{ "truncate -s 50 s1r1/root.1.*; rm s1r2/expunge-root-share", ROOT_UNAVAILABLE },
	{ "truncate -s 50 s1r?/root.1.*; rm s2r?/expunge-root-share", ROOT_ALTERED },
	{ "truncate -s 50 s1r1/root.1.*; rm s2r1/root.1.*", ROOT_PRESENT },
	{ "rm s1r2/expunge-root-share; rm -r s2r1", ROOT_PRESENT },
	{ "mv s1r1 x; mv s2r1 s1r1; mv x s2r1", ROOT_PRESENT },
	{ "mv s1r1 x; mv s1r2 s1r1; mv x s1r2", ROOT_UNAVAILABLE },
};

START_TEST(verdicts_are_never_confused)
{
	start_usual();
	ck_assert(shell("%s", verdicts[_i].command));
	ck_assert_msg(verdict_of(&first, root_1, NULL) == verdicts[_i].verdict, "%s: %s", verdicts[_i].command, err.msg);
}
END_TEST

START_TEST(malformed_names_are_refused)
{
	static const struct root_id bad[] = { { -1, "00000000000000000000000000000001" }, { 1, "" },
		{ 1, "0000000000000000000000000000000A" }, { 1, "../../../../../../../../etc/pass" } };

	start_usual();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(secret_erase) struct secret root = SECRET_INIT;
		enum root_verdict verdict;

		ck_assert_int_eq(root_create(store, &bad[i], &root, &err), -1);
		ck_assert_int_eq(root_read(store, &bad[i], &root, &verdict, NULL, &err), -1);
		ck_assert_int_eq(verdict, ROOT_UNAVAILABLE);
		ck_assert_int_eq(root_destroy(store, &bad[i], NULL, &err), -1);
	}
}
END_TEST

/* ---- making, refused ----------------------------------------------------------------------- */

START_TEST(what_exists_is_not_made_again)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	bool whole = false;

	start_usual();
	ck_assert_int_eq(root_create(store, &first, &root, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "already"));
	ck_assert(root.n == 0 && verdict_of(&first, root_1, NULL) == ROOT_PRESENT);
	ck_assert(root_is_whole(store, &first, &whole, &err) == 0 && whole);
	/* nor beside a part of it */
	ck_assert(shell("rm s1r?/root.* s2r1/root.*"));
	ck_assert_int_eq(root_create(store, &first, &root, &err), -1);
	ck_assert(shell("test -e s2r2/" NAME_1 " && test ! -e s1r1/" NAME_1));
}
END_TEST

/* After a kill between link and unlink a living record has a second name, that of an unfinished one. */
START_TEST(a_second_name_of_a_living_record_is_not_written_over)
{
	CLEANUP(secret_erase) struct secret bytes = SECRET_INIT;
	CLEANUP(free_text) char *path = in_directory("s1r1");
	struct root_place place = { .path = path, .marker = { INSTANCE, 1, 1 } };

	start(1, 1);
	create(&first, root_1);
	ck_assert(shell("ln s1r1/" NAME_1 " s1r1/." NAME_1 ".new"));
	secret_new(&bytes, ROOT_RECORD_SIZE);
	ck_assert_int_eq(root_file_driver.write(&place, &first, &bytes, &err), -1);
	ck_assert_msg(strstr(err.msg, "File exists") != NULL, "%s", err.msg);
	ck_assert_int_eq(verdict_of(&first, root_1, NULL), ROOT_PRESENT);
	ck_assert(shell("test $(ls -A s1r1 | wc -l) = 2"));
}
END_TEST

START_TEST(a_root_needs_all_places)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;

	start_usual();
	ck_assert(shell("mv s2r2 away"));
	ck_assert_int_eq(root_create(store, &second, &root, &err), -1);
	ck_assert_msg(strstr(err.msg, "share 2, replica 2") != NULL && strstr(err.msg, "missing") != NULL, "%s", err.msg);
	ck_assert_ptr_nonnull(strstr(err.hint, "mount"));
	ck_assert(shell("test -z \"$(find . -name '*root.2*')\""));
}
END_TEST

START_TEST(stores_are_checked)
{
	struct root_share_config shares[9] = { 0 };
	static char *paths[9] = { "/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i" };
	struct root_store *none = NULL;

	for (int i = 0; i < 9; i++)
		shares[i] = (struct root_share_config){ .replicas = paths, .n = 1 };
	ck_assert_int_eq(root_open(&none, &(struct root_config){ shares, 0, NULL }, INSTANCE, &err), -1);
	ck_assert_int_eq(root_open(&none, &(struct root_config){ shares, 9, NULL }, INSTANCE, &err), -1);
	ck_assert_int_eq(root_open(&none, &(struct root_config){ shares, 1, NULL }, "x", &err), -1);
	shares[0].n = 0;
	ck_assert_int_eq(root_open(&none, &(struct root_config){ shares, 1, NULL }, INSTANCE, &err), -1);
	shares[0].n = 9;
	ck_assert_int_eq(root_open(&none, &(struct root_config){ shares, 1, NULL }, INSTANCE, &err), -1);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(an_instance_is_one_in_either_case)
{
	CLEANUP(root_closep) struct root_store *upper = NULL;
	struct root_store *lower;

	start_usual();
	open_as(&upper, "8C8B4B42-2D0E-4B1E-9A57-0D3F6C1F2B11", 2, 2);
	lower = store;
	store = upper;
	ck_assert_int_eq(verdict_of(&first, root_1, NULL), ROOT_PRESENT);
	store = lower;
}
END_TEST

/* ---- destroying ---------------------------------------------------------------------------- */

/* What a second name of the file, kept outside, still shows. */
static bool
shows(const char *path, const struct root_record *record)
{
	CLEANUP(free_text) char *full = in_directory(path), *bytes = NULL;
	size_t n = 0;

	ck_assert_int_eq(file_read(full, 1 << 20, &bytes, &n, &err), 0);
	return memmem(bytes, n, record->bytes, ROOT_SIZE) != NULL || memmem(bytes, n, record->kcv, KCV_SIZE) != NULL ||
		memmem(bytes, n, "expunge", 7) != NULL;
}

START_TEST(destroying_is_for_good)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	static const char *const places[] = { "s1r1", "s1r2", "s2r1", "s2r2" };
	struct root_record records[4];
	uint8_t root_2[ROOT_SIZE];

	start_usual();
	create(&second, root_2);
	for (int i = 0; i < 4; i++) {
		read_record(places[i], &first, &records[i]);
		ck_assert(shell("ln %s/" NAME_1 " seen%d", places[i], i));
	}
	ck_assert_msg(root_destroy(store, &first, &report, &err) == 0, "%s", err.msg);
	for (int i = 0; i < 4; i++) {
		CLEANUP(free_text) char *seen = mem_printf("seen%d", i);

		ck_assert_int_eq(report.replicas[i].state, ROOT_GONE);
		ck_assert_str_ne(report.replicas[i].place.file_system, "");
		ck_assert(!shows(seen, &records[i]));
	}
	ck_assert_uint_eq(root_report_shares_gone(&report, &first), 2);
	ck_assert_uint_eq(root_report_shares_gone(&report, &second), 0);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_DESTROYED);
	ck_assert_int_eq(verdict_of(&second, root_2, NULL), ROOT_PRESENT);
	/* again, and of one that never was */
	ck_assert_int_eq(root_destroy(store, &first, &report, &err), 0);
	ck_assert_int_eq(state_of(&report, 1, 1), ROOT_ABSENT);
	ck_assert_uint_eq(root_report_problems(&report), 0);
	ck_assert_uint_eq(root_report_shares_gone(&report, &first), 2);
}
END_TEST

START_TEST(destroying_tries_all_and_tells_of_each)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };

	start_usual();
	ck_assert(shell("mv s1r1 away; rm s2r2/root*; mkdir s2r2/" NAME_1));
	ck_assert_int_eq(root_destroy(store, &first, &report, &err), -1);
	ck_assert_msg(strstr(err.msg, "2 of 4 replicas may still hold it") != NULL, "%s", err.msg);
	ck_assert_int_eq(state_of(&report, 1, 1), ROOT_NO_PLACE);
	ck_assert_int_eq(state_of(&report, 1, 2), ROOT_GONE);
	ck_assert_int_eq(state_of(&report, 2, 1), ROOT_GONE);
	ck_assert_int_eq(state_of(&report, 2, 2), ROOT_NOT_DESTROYED);
	ck_assert_uint_eq(root_report_shares_gone(&report, &first), 0);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_ALTERED);
	ck_assert(shell("rmdir s2r2/" NAME_1 "; mv away s1r1"));
	ck_assert_int_eq(root_destroy(store, &first, NULL, &err), 0);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_DESTROYED);
}
END_TEST

/* Whatever stands in a record's place goes; a link's target is not ours. */
START_TEST(strange_files_go_too)
{
	start_usual();
	ck_assert(shell("rm s1r1/root*; ln -s ../target s1r1/" NAME_1 "; echo precious >target"));
	ck_assert(shell("rm s1r2/root*; mkfifo s1r2/" NAME_1));
	ck_assert(shell("truncate -s 1G s2r1/" NAME_1 "; cp s2r2/" NAME_1 " s2r2/." NAME_1 ".new"));
	ck_assert_msg(root_destroy(store, &first, NULL, &err) == 0, "%s", err.msg);
	ck_assert(shell("grep -q precious target && test -z \"$(find s* -name '*root.1*')\""));
}
END_TEST

START_TEST(what_reappears_is_destroyed_again)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 }, gone = { 0 };
	CLEANUP(root_report_release) struct root_report report = { 0 };
	uint8_t root_2[ROOT_SIZE];
	bool complete;

	start_usual();
	create(&second, root_2);
	ck_assert(shell("mkdir old; for s in s*; do cp -a $s/" NAME_1 " old/$s; done"));
	ck_assert_int_eq(root_destroy(store, &first, NULL, &err), 0);
	ck_assert(shell("for s in s*; do cp -a old/$s $s/" NAME_1 "; done; cp old/s1r1 s2r2/." NAME_1 ".new"));
	ck_assert_int_eq(root_list(store, &ids, &complete, NULL, &err), 0);
	ck_assert(complete && ids.n == 2 && root_id_equal(&ids.ids[0], &first) && root_id_equal(&ids.ids[1], &second));
	ck_assert_msg(root_destroy_others(store, &second, 1, &gone, &report, &err) == 0, "%s", err.msg);
	ck_assert(gone.n == 1 && root_id_equal(&gone.ids[0], &first));
	ck_assert_uint_eq(root_report_shares_gone(&report, &first), 2);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_DESTROYED);
	ck_assert_int_eq(verdict_of(&second, root_2, NULL), ROOT_PRESENT);
	ck_assert(shell("test -z \"$(find s* -name '*root.1*')\""));
}
END_TEST

START_TEST(what_lives_is_not_destroyed_by_who_is_behind)
{
	const struct root_id fourth = id_of(4, 4), third = id_of(3, 3), abandoned = id_of(2, 5);
	const struct root_id both[] = { first, second };

	start_usual();
	ck_assert_int_eq(root_destroy_others(store, NULL, 0, NULL, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert_int_eq(verdict_of(&first, root_1, NULL), ROOT_PRESENT);
	create(&second, NULL);
	ck_assert_int_eq(root_destroy_others(store, &third, 1, NULL, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(err.msg, "destroyed"));
	create(&fourth, NULL);
	ck_assert_int_eq(root_destroy_others(store, both, 2, NULL, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(err.msg, "there is one of epoch 4, and the newest known is 2"));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(verdict_of(&both[i], NULL, NULL), ROOT_PRESENT);
	ck_assert_int_eq(verdict_of(&fourth, NULL, NULL), ROOT_PRESENT);
	/* nor the root of the next epoch: whoever made it has overtaken a run that had lost its connection */
	ck_assert_int_eq(root_destroy(store, &fourth, NULL, &err), 0);
	create(&third, NULL);
	ck_assert_int_eq(root_destroy_others(store, both, 2, NULL, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert_int_eq(verdict_of(&third, NULL, NULL), ROOT_PRESENT);
	/* another attempt at the same epoch was given up, and goes */
	ck_assert_int_eq(root_destroy(store, &third, NULL, &err), 0);
	create(&abandoned, NULL);
	ck_assert_msg(root_destroy_others(store, both, 2, NULL, NULL, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(verdict_of(&abandoned, NULL, NULL), ROOT_DESTROYED);
	ck_assert_int_eq(verdict_of(&first, root_1, NULL), ROOT_PRESENT);
}
END_TEST

START_TEST(lists_say_what_they_did_not_see)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 }, none = { 0 };
	CLEANUP(root_report_release) struct root_report report = { 0 };
	bool complete = true;

	start_usual();
	create(&second, NULL);
	ck_assert(shell("touch s1r2/root.9 s1r2/root.09.%032d s1r2/root.7.%032d.old", 1, 1));
	ck_assert(shell("mv s1r1 away; rm s1r2/" NAME_1 " s2r1/" NAME_1));
	ck_assert_int_eq(root_list(store, &ids, &complete, &report, &err), 0);
	ck_assert(!complete && ids.n == 2 && report.n == 1);
	ck_assert_int_eq(state_of(&report, 1, 1), ROOT_NO_PLACE);
	/* and not all is destroyed while a place is away */
	ck_assert_int_eq(root_destroy_others(store, &second, 1, NULL, &report, &err), -1);
	ck_assert(shell("test ! -e s2r2/" NAME_1));
	ck_assert_int_eq(root_destroy_others(store, &second, 1, NULL, &report, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "not every place could be looked at"));
	ck_assert(shell("mv away s1r1"));
	ck_assert_int_eq(root_destroy_others(store, &second, 1, NULL, &report, &err), 0);
	ck_assert(shell("rm -r s*"));
	ck_assert_int_eq(root_list(store, &none, &complete, NULL, &err), -1);
	ck_assert_uint_eq(none.n, 0);
}
END_TEST

/* ---- marking ------------------------------------------------------------------------------- */

START_TEST(marks_are_made_once)
{
	CLEANUP(root_closep) struct root_store *other = NULL;

	start(2, 2);
	ck_assert(shell("test $(find . -type d -name 's*' -perm 700 | wc -l) = 4"));
	ck_assert(shell("cp s1r1/expunge-root-share before"));
	ck_assert_msg(root_init(store, &err) == 0, "%s", err.msg);
	ck_assert(shell("cmp before s1r1/expunge-root-share"));
	open_as(&other, OTHER_INSTANCE, 2, 2);
	ck_assert_int_eq(root_init(other, &err), -1);
	ck_assert_msg(strstr(err.msg, "of instance " INSTANCE) != NULL, "%s", err.msg);
	ck_assert(shell("cmp before s1r1/expunge-root-share"));
	/* an init that was killed goes on */
	ck_assert(shell("rm s2r1/expunge-root-share; rm -r s2r2"));
	ck_assert_msg(root_init(store, &err) == 0, "%s", err.msg);
	create(&first, root_1);
}
END_TEST

START_TEST(an_empty_mount_point_is_not_marked)
{
	size_t healed = 0;

	start_usual();
	ck_assert(shell("mv s2r1 away; mkdir -m 700 s2r1"));
	ck_assert_int_eq(root_init(store, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert(shell("test ! -e s2r1/expunge-root-share"));
	/* a person says that it is a new disk */
	ck_assert_int_eq(root_mark(store, 2, 1, &err), 0);
	ck_assert(root_heal(store, &first, &healed, NULL, &err) == 0 && healed == 1);
	ck_assert(shell("cmp s2r1/" NAME_1 " away/" NAME_1));
	ck_assert_int_eq(root_mark(store, 3, 1, &err), -1);
	ck_assert_int_eq(root_mark(store, 1, 3, &err), -1);
	ck_assert_int_eq(root_mark(store, 0, 0, &err), -1);
}
END_TEST

START_TEST(records_without_a_marker_are_not_marked)
{
	start_usual();
	ck_assert(shell("rm s?r?/expunge-root-share"));
	ck_assert_int_eq(root_init(store, &err), -1);
	ck_assert_int_eq(err.code, ERR_REFUSED);
	ck_assert_ptr_nonnull(strstr(err.msg, "holds records of 1 roots, and no marker"));
	ck_assert_int_eq(root_mark(store, 1, 1, &err), -1);
	ck_assert(shell("test -z \"$(find . -name expunge-root-share)\""));
}
END_TEST

START_TEST(shares_can_be_added)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	size_t healed = 0;
	bool whole = true;

	start_usual();
	root_closep(&store);
	open_as(&store, INSTANCE, 3, 2);
	ck_assert_int_eq(root_mark(store, 3, 1, &err), 0);
	ck_assert_int_eq(root_mark(store, 3, 2, &err), 0);
	ck_assert_int_eq(verdict_of(&first, root_1, &report), ROOT_PRESENT);
	ck_assert_int_eq(state_of(&report, 3, 1), ROOT_UNUSED);
	ck_assert_uint_eq(root_report_problems(&report), 0);
	ck_assert(root_heal(store, &first, &healed, NULL, &err) == 0 && healed == 0);
	ck_assert(root_is_whole(store, &first, &whole, &err) == 0 && !whole);
	create(&second, NULL);
	ck_assert_int_eq(root_destroy(store, &first, &report, &err), 0);
	ck_assert_int_eq(verdict_of(&first, NULL, NULL), ROOT_DESTROYED);
	/* but not taken away while a root has them */
	root_closep(&store);
	open_as(&store, INSTANCE, 2, 2);
	ck_assert_int_eq(verdict_of(&second, NULL, NULL), ROOT_UNAVAILABLE);
	ck_assert_msg(strstr(err.msg, "it has 3 shares, and 2 are configured") != NULL, "%s", err.msg);
}
END_TEST

/* ---- devices ------------------------------------------------------------------------------- */

START_TEST(devices_are_compared)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	start(2, 2);
	root_device_warnings(store, &text);
	ck_assert_msg(strstr(text.s, "share 1: ") == text.s && strstr(text.s, "\nshare 2: ") != NULL, "%s", text.s);
	ck_assert_ptr_nonnull(strstr(text.s, "one lost disk takes both\n"));
	ck_assert_ptr_nonnull(strstr(text.s, "\nall 2 shares are on the device of "));
	str_clear(&text);
	ck_assert(shell("rm -r s1r2 s2r2"));
	root_device_warnings(store, &text);
	ck_assert_msg(strncmp(text.s, "all 2 shares", 12) == 0, "%s", text.s);
	str_clear(&text);
	ck_assert(shell("rm -r s2r1"));
	root_device_warnings(store, &text);
	ck_assert_str_eq(str_cstr(&text), "");
}
END_TEST

START_TEST(file_systems_have_names)
{
	static const char *const known[] = { "ext4", "xfs", "tmpfs", "vfat", "exfat", "btrfs", "zfs", "f2fs", "overlayfs", "nfs", "cifs",
		"fuse", "unknown" };
	CLEANUP(root_report_release) struct root_report report = { 0 };
	bool found = false;

	start(1, 1);
	create(&first, NULL);
	ck_assert_int_eq(root_destroy(store, &first, &report, &err), 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		found |= strcmp(report.replicas[0].place.file_system, known[i]) == 0;
	ck_assert(found);
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, round_trip, 1, 4);
	tcase_add_test(tests, all_shares_are_needed);
	tcase_add_loop_test(tests, one_bad_replica_is_no_harm, 0, (int)(sizeof(harms) / sizeof(harms[0])));
	tcase_add_loop_test(tests, all_replicas_of_a_share_bad, 0, (int)(sizeof(harms) / sizeof(harms[0])));
	tcase_add_test(tests, foreign_stale_and_disagreeing_records);
	tcase_add_test(tests, shares_that_do_not_give_their_root_are_altered);
	tcase_add_test(tests, two_whole_roots_of_one_name_are_none);
	tcase_add_loop_test(tests, verdicts_are_never_confused, 0, (int)(sizeof(verdicts) / sizeof(verdicts[0])));
	tcase_add_test(tests, malformed_names_are_refused);
	tcase_add_test(tests, what_exists_is_not_made_again);
	tcase_add_test(tests, a_second_name_of_a_living_record_is_not_written_over);
	tcase_add_test(tests, a_root_needs_all_places);
	tcase_add_test(tests, stores_are_checked);
	tcase_add_test(tests, an_instance_is_one_in_either_case);
	tcase_add_test(tests, destroying_is_for_good);
	tcase_add_test(tests, destroying_tries_all_and_tells_of_each);
	tcase_add_test(tests, strange_files_go_too);
	tcase_add_test(tests, what_reappears_is_destroyed_again);
	tcase_add_test(tests, what_lives_is_not_destroyed_by_who_is_behind);
	tcase_add_test(tests, lists_say_what_they_did_not_see);
	tcase_add_test(tests, marks_are_made_once);
	tcase_add_test(tests, an_empty_mount_point_is_not_marked);
	tcase_add_test(tests, records_without_a_marker_are_not_marked);
	tcase_add_test(tests, shares_can_be_added);
	tcase_add_test(tests, devices_are_compared);
	tcase_add_test(tests, file_systems_have_names);
	return run_suite("root", tests);
}
