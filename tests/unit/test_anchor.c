/* keys: the files outside the database, as bytes: every truncation and every flipped bit of a record, a marker and an anchor
 * is refused. And what the configuration says of their places. */
#include "root_fixture.h"

#include <unistd.h>

#include "base/bytes.h"
#include "keys/anchor.h"
#include "keys/root_config.h"

static void
set_up(void)
{
	directory_make();
	err_clear(&err);
}

/* ---- records ------------------------------------------------------------------------------- */

/* Of version 1, made by hand and by sha256sum: what was written once must be read for ever. */
static const char record_hex[] =
	"657870756e67652f726f6f742f76310a" "8c8b4b422d0e4b1e9a570d3f6c1f2b11" "0000000000000077"
	"0123456789abcdef0123456789abcdef" "00000002" "00000003" "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	"037d83ed2144d1a3e1cc9914420c421e3e895d1dcd36a8a3c1127165a5ac394e";

static void
make_record(uint8_t bytes[ROOT_RECORD_SIZE])
{
	ck_assert_int_eq(bytes_from_hex(record_hex, bytes, ROOT_RECORD_SIZE), 0);
}

START_TEST(records_are_as_the_manual_says)
{
	uint8_t bytes[ROOT_RECORD_SIZE], again[ROOT_RECORD_SIZE];
	struct root_record record;

	make_record(bytes);
	ck_assert_msg(root_record_parse(bytes, sizeof(bytes), &record, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(record.instance, INSTANCE);
	ck_assert(record.id.epoch == 0x77 && record.share == 2 && record.n_shares == 3);
	ck_assert_str_eq(record.id.attempt, "0123456789abcdef0123456789abcdef");
	ck_assert(record.kcv[0] == 0xa0 && record.kcv[15] == 0xaf && record.bytes[0] == 0 && record.bytes[31] == 0x1f);
	ck_assert_int_eq(root_record_write(&record, again, &err), 0);
	ck_assert_mem_eq(again, bytes, sizeof(bytes));
}
END_TEST

START_TEST(no_other_bytes_are_a_record)
{
	uint8_t bytes[ROOT_RECORD_SIZE + 1] = { 0 };
	struct root_record record;

	make_record(bytes);
	for (size_t n = 0; n <= sizeof(bytes); n++)
		ck_assert_int_eq(root_record_parse(bytes, n, &record, &err), n == ROOT_RECORD_SIZE ? 0 : -1);
	for (size_t bit = 0; bit < (size_t)8 * ROOT_RECORD_SIZE; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err_clear(&err);
		ck_assert_msg(root_record_parse(bytes, ROOT_RECORD_SIZE, &record, &err) == -1, "bit %zu", bit);
		ck_assert(err.msg[0] != '\0');
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

/* Of a right sum, and still not to be. */
static const struct {
	size_t at, n;
	uint8_t value;
} impossible[] = {
	{ 14, 1, '2' },   /* the version */
	{ 32, 1, 0x80 },  /* an epoch beyond int64 */
	{ 59, 1, 0 },     /* share 0 */
	{ 59, 1, 4 },     /* share 4 of 3 */
	{ 56, 1, 1 },     /* share 16,777,218 */
	{ 63, 1, 9 },     /* of 9 */
	{ 56, 8, 0xff },
};

START_TEST(impossible_records_are_refused)
{
	uint8_t bytes[ROOT_RECORD_SIZE];
	struct root_record record;

	make_record(bytes);
	(void)memset(bytes + impossible[_i].at, impossible[_i].value, impossible[_i].n);
	ck_assert_int_eq(crypt_sha256(bytes, 112, bytes + 112, &err), 0);
	ck_assert_int_eq(root_record_parse(bytes, sizeof(bytes), &record, &err), -1);
	ck_assert(_i != 0 || strstr(err.msg, "version 1") != NULL);
}
END_TEST

START_TEST(impossible_records_are_not_written)
{
	uint8_t bytes[ROOT_RECORD_SIZE];
	struct root_record record, good;

	make_record(bytes);
	ck_assert_int_eq(root_record_parse(bytes, sizeof(bytes), &good, &err), 0);
	for (int n = 0; n < 5; n++) {
		record = good;
		record.share = n == 0 ? 4 : record.share;
		record.n_shares = n == 1 ? 9 : record.n_shares;
		record.id.epoch = n == 2 ? -1 : record.id.epoch;
		record.id.attempt[3] = n == 3 ? 'G' : record.id.attempt[3];
		record.instance[3] = n == 4 ? 'G' : record.instance[3];
		ck_assert_int_eq(root_record_write(&record, bytes, &err), -1);
	}
}
END_TEST

#define DIGITS "0123456789abcdef0123456789abcdef"

static const struct {
	const char *name;
	int64_t epoch; /* -1: not a record's name */
} names[] = {
	{ "root.0." DIGITS, 0 },
	{ "root.9223372036854775807." DIGITS, INT64_MAX },
	{ ".root.12." DIGITS ".new", 12 },
	{ "root.9223372036854775808." DIGITS, -1 },
	{ "root.12." DIGITS ".new", -1 },
	{ ".root.12." DIGITS, -1 },
	{ "root.012." DIGITS, -1 },
	{ "root.-1." DIGITS, -1 },
	{ "root.+1." DIGITS, -1 },
	{ "root.1." DIGITS "0", -1 },
	{ "root.1.0123456789ABCDEF0123456789abcdef", -1 },
	{ "root.1.0123456789abcdef0123456789abcde", -1 },
	{ "root..", -1 },
	{ "root.1", -1 },
	{ "root", -1 },
	{ ".", -1 },
	{ "..", -1 },
	{ "", -1 },
	{ "expunge-root-share", -1 },
};

START_TEST(names_of_records)
{
	struct root_id id = { .epoch = -1 };

	ck_assert(root_record_name_parse(names[_i].name, &id) == (names[_i].epoch >= 0));
	ck_assert(id.epoch == names[_i].epoch);
	if (id.epoch >= 0) {
		CLEANUP(free_text) char *again = root_record_name(&id, names[_i].name[0] == '.');

		ck_assert_str_eq(again, names[_i].name);
		ck_assert(root_id_is_valid(&id));
	}
}
END_TEST

/* ---- markers and anchors ------------------------------------------------------------------- */

/* Made by hand, and summed by sha256sum. */
#define MARKER                                                        \
	"expunge-root-share/v1\n"                                     \
	"instance: " INSTANCE "\n"                                    \
	"share: 2\n"                                                  \
	"replica: 1\n"                                                \
	"sha256: 84c615c3d1560271818300b20f56c04c9f1af5c47d367013cf2f0885b43b7387\n"
#define ANCHOR                                                        \
	"expunge-anchor/v1\n"                                         \
	"epoch: 118\n"                                                \
	"key-seq: 40213\n"                                            \
	"checkpoint: none\n"                                          \
	"nonce: " DIGITS "\n"                                         \
	"timeline: 1\n"                                               \
	"instance: " INSTANCE "\n"                                    \
	"sha256: a810c6fd3bc7985a7aabcdcf5407087b8895f8792ab58e9f750375c2f4cab097\n"

static int
parse_marker(const char *text, size_t n)
{
	struct root_marker marker;

	return root_marker_parse(text, n, &marker, &err);
}

static int
parse_anchor(const char *text, size_t n)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;

	return anchor_parse(text, n, &anchor, &err);
}

static const struct {
	const char *text;
	int (*parse)(const char *text, size_t n);
} files[] = { { MARKER, parse_marker }, { ANCHOR, parse_anchor } };

START_TEST(no_other_text_is_a_marker_or_an_anchor)
{
	CLEANUP(free_text) char *text = mem_printf("%s\n", files[_i].text);
	size_t whole = strlen(text) - 1;

	for (size_t n = 0; n <= whole + 1; n++)
		ck_assert_msg(files[_i].parse(text, n) == (n == whole ? 0 : -1), "%zu bytes: %s", n, err.msg);
	for (size_t bit = 0; bit < 8 * whole; bit++) {
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
		err_clear(&err);
		ck_assert_msg(files[_i].parse(text, whole) == -1 && err.msg[0] != '\0', "bit %zu", bit);
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
	}
}
END_TEST

/* One line of a good file replaced, and the sum right. */
static const struct {
	int file;
	const char *from, *to;
} edits[] = {
	{ 0, "/v1", "/v2" },
	{ 0, "share: 2", "share: 0" },
	{ 0, "share: 2", "share: 9" },
	{ 0, "share: 2", "share: 02" },
	{ 0, "replica: 1", "replica: " },
	{ 0, "replica: 1", "replica: 1\nmore: 1" },
	{ 0, "replica: 1\n", "" },
	{ 0, "8c8b", "8c8" },
	{ 1, "/v1", "/v1 " },
	{ 1, "epoch: 118", "epoch: -1" },
	{ 1, "epoch: 118", "epoch:118" },
	{ 1, "key-seq: 40213", "key-seq: 9223372036854775808" },
	{ 1, "checkpoint: none", "checkpoint: " },
	{ 1, "checkpoint: none", "checkpoint: a\tb" },
	{ 1, "nonce: 0", "nonce: A" },
	{ 1, "nonce: 0", "nonce: 00" },
	{ 1, "timeline: 1", "timeline: 0" },
	{ 1, "timeline: 1", "timeline: 4294967296" },
	{ 1, "timeline: 1", "Timeline: 1" },
	{ 1, "instance: 8", "instance: " },
};

START_TEST(wrong_values_are_refused)
{
	const char *text = files[edits[_i].file].text, *at = strstr(text, edits[_i].from);
	CLEANUP(str_release) struct str edited = STR_INIT;
	uint8_t sum[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	ck_assert_ptr_nonnull(at);
	str_add_n(&edited, text, (size_t)(at - text));
	str_add(&edited, edits[_i].to);
	at += strlen(edits[_i].from);
	str_add_n(&edited, at, (size_t)(strstr(at, "sha256: ") - at));
	ck_assert_int_eq(crypt_sha256(edited.s, edited.len, sum, &err), 0);
	bytes_to_hex(sum, sizeof(sum), hex);
	str_addf(&edited, "sha256: %s\n", hex);
	err_clear(&err);
	ck_assert_int_eq(files[edits[_i].file].parse(edited.s, edited.len), -1);
	ck_assert(err.msg[0] != '\0');
}
END_TEST

START_TEST(markers_are_as_the_manual_says)
{
	struct root_marker marker;
	CLEANUP(str_release) struct str again = STR_INIT;

	ck_assert_msg(root_marker_parse(MARKER, strlen(MARKER), &marker, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(marker.instance, INSTANCE);
	ck_assert(marker.share == 2 && marker.replica == 1);
	ck_assert_int_eq(root_marker_write(&marker, &again, &err), 0);
	ck_assert_str_eq(again.s, MARKER);
}
END_TEST

static struct anchor
sample(char *checkpoint)
{
	return (struct anchor){ .instance = INSTANCE, .epoch = 118, .key_seq = 40213, .checkpoint = checkpoint, .nonce = DIGITS,
		.timeline = 1 };
}

START_TEST(anchors_round_trip)
{
	CLEANUP(free_text) char *path = in_directory("anchor"), *text = NULL;
	static char checkpoint[] = "expunge.example/log 412 x2w=";
	struct anchor anchor = sample(NULL);
	enum anchor_verdict verdict;

	ck_assert_msg(anchor_write(path, &anchor, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(file_read(path, 4096, &text, NULL, &err), 0);
	ck_assert_str_eq(text, ANCHOR);
	ck_assert(shell("test $(find . -name anchor -perm 600 | wc -l) = 1"));
	for (int n = 0; n < 2; n++) {
		CLEANUP(anchor_release) struct anchor got = ANCHOR_INIT;

		ck_assert_msg(anchor_read(path, INSTANCE, &got, &verdict, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(verdict, ANCHOR_PRESENT);
		ck_assert(got.epoch == 118 + n && got.key_seq == 40213 && got.timeline == 1);
		ck_assert_str_eq(got.nonce, DIGITS);
		ck_assert_str_eq(got.instance, INSTANCE);
		if (n == 0)
			ck_assert_ptr_null(got.checkpoint);
		else
			ck_assert_str_eq(got.checkpoint, checkpoint);
		anchor = sample(checkpoint);
		anchor.epoch = 119;
		ck_assert_int_eq(anchor_write(path, &anchor, &err), 0);
	}
}
END_TEST

START_TEST(anchors_that_could_not_be_read_are_not_written)
{
	CLEANUP(free_text) char *path = in_directory("anchor");
	static char none[] = "none", lines[] = "a\nepoch: 5", empty[] = "";
	struct anchor bad[7] = { sample(none), sample(lines), sample(empty), sample(NULL), sample(NULL), sample(NULL), sample(NULL) };

	bad[3].epoch = -1;
	bad[4].timeline = 0;
	bad[5].nonce[0] = 'x';
	bad[6].instance[0] = 'x';
	for (int n = 0; n < 7; n++)
		ck_assert_int_eq(anchor_write(path, &bad[n], &err), -1);
	ck_assert(shell("test -z \"$(ls -A)\""));
}
END_TEST

static const struct {
	const char *command;
	enum anchor_verdict verdict;
} anchor_cases[] = {
	{ "true", ANCHOR_PRESENT },
	{ "rm d/anchor", ANCHOR_ABSENT },
	{ "rm -r d", ANCHOR_UNAVAILABLE },
	{ "rm -r d; touch d", ANCHOR_UNAVAILABLE },
	{ "truncate -s 100 d/anchor", ANCHOR_ALTERED },
	{ ": >d/anchor", ANCHOR_ALTERED },
	{ "sed -i s/118/117/ d/anchor", ANCHOR_ALTERED },
	{ "cp other d/anchor", ANCHOR_FOREIGN },
	{ "mv d/anchor x; ln -s ../x d/anchor", ANCHOR_UNAVAILABLE },
	{ "rm d/anchor; mkdir d/anchor", ANCHOR_UNAVAILABLE },
	{ "chmod 622 d/anchor", ANCHOR_UNAVAILABLE },
	{ "truncate -s 1M d/anchor", ANCHOR_UNAVAILABLE },
};

START_TEST(verdicts_on_anchors)
{
	CLEANUP(free_text) char *path = in_directory("d/anchor"), *other = in_directory("other");
	CLEANUP(anchor_release) struct anchor got = ANCHOR_INIT;
	struct anchor anchor = sample(NULL);
	enum anchor_verdict verdict = ANCHOR_PRESENT;
	int rc;

	ck_assert(shell("mkdir d"));
	ck_assert_int_eq(anchor_write(path, &anchor, &err), 0);
	(void)strcpy(anchor.instance, OTHER_INSTANCE);
	ck_assert_int_eq(anchor_write(other, &anchor, &err), 0);
	ck_assert(shell("%s", anchor_cases[_i].command));
	rc = anchor_read(path, INSTANCE, &got, &verdict, &err);
	ck_assert_msg(verdict == anchor_cases[_i].verdict, "%s: %d %s", anchor_cases[_i].command, verdict, err.msg);
	ck_assert((rc == 0) == (verdict == ANCHOR_PRESENT));
	ck_assert(rc == 0 || err.msg[0] != '\0');
}
END_TEST

/* ---- configuration ------------------------------------------------------------------------- */

/* Loads a configuration with these keys; @ is the private directory. */
static int
read_keys(const char *keys, struct root_config *ret, struct str *problems)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(free_text) char *path = in_directory("expunge.conf");
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str all = STR_INIT;

	str_addf(&text, "database : { conninfo = \"dbname=x\"; }; map = \"/map\"; state_directory = \"@/state\";\n"
		"ledger_directory = \"@/ledger\"; certificate_directory = \"@/certificates\";\n"
		"issuer : { name = \"x\"; key = \"@/issuer.pem\"; }; processor = \"x\";\n"
		"caps : { subjects_per_run = 1; tenants_per_run = 1; rows_per_run = 1; tenant_share_percent = 1; };\n%s\n", keys);
	for (const char *c = text.s; *c != '\0'; c++)
		if (*c == '@')
			str_add(&all, directory);
		else
			str_add_n(&all, c, 1);
	ck_assert_int_eq(file_write(path, all.s, all.len, 0600, false, &err), 0);
	ck_assert_msg(config_load(&config, path, problems, &err) == 0, "%s", str_cstr(problems));
	return root_config_read(ret, config, problems, &err);
}

#define TWO(A, B) "keys : { shares = ( { replicas = [ \"" A "\" ]; },\n { replicas = [ \"" B "\" ]; } ); anchor = \"@/anchor\"; };"

static const struct {
	const char *prepare, *keys, *problem; /* NULL: good */
} configurations[] = {
	{ "true", TWO("@/a", "@/b"), NULL },
	{ "mkdir -m 700 a", TWO("@/a", "@/ab"), NULL },
	{ "true", TWO("@/a", "@/a"), ":6: /tmp/" },
	{ "true", TWO("@/a", "@/a"), "/a is named twice: it is the directory of another replica, too\n" },
	{ "true", TWO("@/a", "@/a/b"), "/a/b is in the directory of another replica /tmp/" },
	{ "true", TWO("@/a/b", "@/a"), "/a holds the directory of another replica /tmp/" },
	{ "mkdir a; ln -s a b", TWO("@/a", "@/b"), "/b is a symbolic link; name the directory itself" },
	{ "mkdir x; ln -s x y", TWO("@/x/a", "@/y/a"), "/y/a is named twice" },
	{ "mkdir x; ln -s x y", TWO("@/x/a", "@/y/a/b"), "/y/a/b is in the directory of another" },
	{ "mkdir -m 770 a", TWO("@/a", "@/b"), ":5: others may" },
	{ "mkdir -m 770 a", TWO("@/a", "@/b"), "others may write to" },
	{ "mkdir -m 702 a", TWO("@/a", "@/b"), "others may write to" },
	{ "touch a", TWO("@/a", "@/b"), "/a is not a directory" },
	{ "true", TWO("@/a", "@/state"), "/state is named twice: it is the state_directory, too" },
	{ "true", TWO("@/a", "@/ledger/x"), "/ledger/x is in the ledger_directory" },
	{ "mkdir ledger; ln -s ledger z", TWO("@/a", "@/z/x"), "/z/x is in the ledger_directory" },
	{ "true", TWO("@/a", "@"), "holds the keys.anchor" },
	{ "true", TWO("@/a", "@"), "holds the certificate_directory" },
	{ "true", TWO("@/a", "@"), "holds the issuer.key" },
	{ "true", TWO("@/a", "@/anchor"), "/anchor is named twice: it is the keys.anchor, too" },
};

START_TEST(places_are_checked)
{
	CLEANUP(root_config_release) struct root_config config = { 0 };
	CLEANUP(str_release) struct str problems = STR_INIT;
	const char *want = configurations[_i].problem;

	ck_assert(shell("%s", configurations[_i].prepare));
	if (want == NULL) {
		ck_assert_msg(read_keys(configurations[_i].keys, &config, &problems) == 0, "%s", str_cstr(&problems));
		ck_assert(config.n == 2 && config.shares[0].n == 1 && config.shares[1].n == 1);
		ck_assert_str_eq(strrchr(config.shares[0].replicas[0], '/'), "/a");
		ck_assert_str_eq(strrchr(config.anchor, '/'), "/anchor");
		return;
	}
	ck_assert_int_eq(read_keys(configurations[_i].keys, &config, &problems), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_uint_eq(config.n, 0);
	ck_assert_msg(strstr(problems.s, want) != NULL, "%s", problems.s);
}
END_TEST

START_TEST(all_problems_of_places_come_at_once)
{
	CLEANUP(root_config_release) struct root_config config = { 0 };
	CLEANUP(str_release) struct str problems = STR_INIT;

	ck_assert(shell("mkdir -m 777 a"));
	ck_assert_int_eq(read_keys("keys : { shares = ( { replicas = [ \"@/a\", \"@/a/b\", \"@/state\" ]; } ); };", &config, &problems), -1);
	ck_assert_msg(strstr(err.msg, "has 3 problems") != NULL, "%s", problems.s);
}
END_TEST

START_TEST(without_shares_there_is_no_key_tree)
{
	CLEANUP(root_config_release) struct root_config config = { 0 };
	CLEANUP(str_release) struct str problems = STR_INIT;

	ck_assert_int_eq(read_keys("", &config, &problems), 0);
	ck_assert_uint_eq(config.n, 0);
	ck_assert_str_eq(config.anchor, "/var/lib/expunge/anchor");
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, directory_remove);
	tcase_add_test(tests, records_are_as_the_manual_says);
	tcase_add_test(tests, no_other_bytes_are_a_record);
	tcase_add_loop_test(tests, impossible_records_are_refused, 0, COUNT(impossible));
	tcase_add_test(tests, impossible_records_are_not_written);
	tcase_add_loop_test(tests, names_of_records, 0, COUNT(names));
	tcase_add_loop_test(tests, no_other_text_is_a_marker_or_an_anchor, 0, COUNT(files));
	tcase_add_loop_test(tests, wrong_values_are_refused, 0, COUNT(edits));
	tcase_add_test(tests, markers_are_as_the_manual_says);
	tcase_add_test(tests, anchors_round_trip);
	tcase_add_test(tests, anchors_that_could_not_be_read_are_not_written);
	tcase_add_loop_test(tests, verdicts_on_anchors, 0, COUNT(anchor_cases));
	tcase_add_loop_test(tests, places_are_checked, 0, COUNT(configurations));
	tcase_add_test(tests, all_problems_of_places_come_at_once);
	tcase_add_test(tests, without_shares_there_is_no_key_tree);
	return run_suite("anchor", tests);
}
