/* lib/svc config: documents, the settings table, and the sample file held against it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/config.h"
#include "sys/file.h"

#define SAMPLE "etc/expunge.conf" /* tests run in the checkout */

static char path[] = "/tmp/expunge-conf.XXXXXX";
static struct err err;

static void
set_up(void)
{
	int fd;

	(void)strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	err_clear(&err);
}

static void
tear_down(void)
{
	(void)unlink(path);
}

static const char good[] =
	"database : { conninfo = \"dbname=clinic\"; };\n"
	"map = \"/etc/expunge/maps/clinic.conf\";\n"
	"state_directory = \"/var/lib/expunge\";\n"
	"ledger_directory = \"/srv/ledger\";\n"
	"certificate_directory = \"/srv/certificates\";\n"
	"issuer : { name = \"example.org/expunge\"; key = \"/etc/expunge/issuer.pem\"; };\n"
	"processor = \"Example Ltd, ICO Z1\";\n"
	"caps : { subjects_per_run = 5; tenants_per_run = 2; rows_per_run = 5000000000L; tenant_share_percent = 10; };\n";

static int
load(const char *text, struct config **ret, struct str *problems)
{
	ck_assert_int_eq(file_write(path, text, strlen(text), 0600, false, &err), 0);
	return config_load(ret, path, problems, &err);
}

/* good with `more` behind it */
static int
load_with(const char *more, struct config **ret, struct str *problems)
{
	CLEANUP(free_text) char *text = mem_printf("%s%s\n", good, more);

	return load(text, ret, problems);
}

START_TEST(defaults_fill_what_is_absent)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;

	ck_assert_msg(load(good, &config, &problems) == 0, "%s", str_cstr(&problems));
	ck_assert_str_eq(config_text(config, SET_DATABASE_CONNINFO), "dbname=clinic");
	ck_assert_int_eq(config_int(config, SET_DATABASE_LOCK_TIMEOUT_MS), 5000);
	ck_assert_str_eq(config_text(config, SET_POLICY_CALENDAR), "england-wales");
	ck_assert_str_eq(config_text(config, SET_POLICY_ZONE), "Europe/London");
	ck_assert(config_int(config, SET_CAP_ROWS_PER_RUN) == INT64_C(5000000000));
	ck_assert_ptr_null(config_list(config, SET_STORES));
	ck_assert_str_eq(config_path(config), path);
}
END_TEST

#define DESTINATIONS(list) "archives : { destinations = ( " list " ); };"
#define DIRECTORY "{ name = \"a\"; directory = \"/a\"; }, "

static const struct {
	const char *more, *problem; /* added in line 9 */
} bad_cases[] = {
	{ "batch : { rows = 0; };", ":9: batch.rows must be between 1 and 10000000" },
	{ "batch : { rows = 1.5; };", ":9: batch.rows must be a whole number" },
	{ "batch : { rows = \"5\"; };", ":9: batch.rows must be a whole number" },
	{ "batch : { rwos = 5; };", ":9: batch.rwos is not a setting: did you mean batch.rows?" },
	{ "batch = 5;", ":9: batch must be a group" },
	{ "batsh : { rows = 5; };", ":9: batsh is not a setting: did you mean batch?" },
	{ "policy : { undo_days = 29; };", ":9: policy.undo_days must be between 0 and 28" },
	{ "policy : { calendar = \"wales\"; };", ":9: policy.calendar must be one of england-wales|" },
	{ "policy : { calendar = \"england-wales|scotland\"; };", ":9: policy.calendar must be one of" },
	{ "policy : { calendar = \"\"; };", ":9: policy.calendar must be one of" },
	{ "policy : { zone = \"\"; };", ":9: policy.zone must not be empty" },
	{ "policy : { zone = 5; };", ":9: policy.zone must be a text in quotes" },
	{ "policy : { zone = \"a\\nb\"; };", ":9: policy.zone must be at most 64 bytes of plain text" },
	{ "log : { level = \"loud\"; };", ":9: log.level must be one of error|" },
	{ "stores = 5;", ":9: stores must be a list" },
	{ "stores = ( { name = \"a\"; } );", ":9: a store is {" },
	{ "stores = ( { name = \"a\"; retention = 5; } );", ":9: retention is not a setting of a store\n" },
	{ "stores = ( { name = \"a\"; kind = \"other\"; retention_days = 5; x = 1; } );", ":9: x is not a setting of a store\n" },
	{ "stores = ( 5 );", ":9: a store is {" },
	{ "stores = ( { name = \"\"; kind = \"other\"; retention_days = 5; } );", ":9: the name of a store must be" },
	{ "stores = ( { name = 5; kind = \"other\"; retention_days = 5; } );", ":9: the name of a store must be" },
	{ "stores = ( { name = \"a\"; retention_days = 5; } );", ":9: a store is {" },
	{ "stores = ( { name = \"a\"; kind = \"tape\"; retention_days = 5; } );", ":9: the kind of a store must be one of physical-backup" },
	{ "stores = ( { name = \"a\"; kind = 5; retention_days = 5; } );", ":9: the kind of a store must be one of" },
	{ "stores = ( { name = \"a\"; kind = \"other\"; retention_days = 0; } );", ":9: retention_days of a store must be" },
	{ "stores = ( { name = \"a\"; }, { name = \"b\"; kind = \"other\"; retention_days = 5; } );", ":9: a store is {" },
	{ "documents = 5;", ":9: documents must be a list" },
	{ "archives : { destinations = ( { name = \"a\"; direktory = \"/a\"; } ); };", ":9: direktory is not a setting of a destination: did you mean directory?" },
	{ "keys : { shares = ( { replica = [ \"/a\" ]; } ); };", ":9: replica is not a setting of a share: did you mean replicas?" },
	{ "documents = ( { name = \"a\"; dir = \"/a\"; } );", ":9: dir is not a setting of a kind of documents\n" },
	{ "frobnicate = 1;", ":9: frobnicate is not a setting\n" },
	{ "documents = ( { name = \"a\"; } );", ":9: a kind of documents is {" },
	{ "documents = ( { name = \"a\"; }, { name = \"b\"; directory = \"/b\"; } );", ":9: a kind of documents is {" },
	{ "documents = ( { name = \"A b\"; directory = \"/a\"; } );", ":9: the name of a kind of documents must be 1 to 40 small letters" },
	{ "documents = ( { name = \"a\"; directory = \"a\"; } );", ":9: the directory of a kind of documents must be an absolute" },
	{ "documents = ( { name = \"a\"; directory = \"/a\"; }, { name = \"a\"; directory = \"/b\"; } );", ":9: two kinds of documents have the name" },
	{ "documents = ( { name = \"a\"; directory = \"/a\"; }, { name = \"b\"; directory = \"/a/b\"; } );", ":9: /a/b and /a lie in one another" },
	{ "keys : { shares = 5; };", ":9: keys.shares must be a list" },
	{ "keys : { shares = ( 5 ); };", ":9: a share is {" },
	{ "keys : { shares = ( { } ); };", ":9: a share is {" },
	{ "keys : { shares = ( { replicas = \"/a\"; } ); };", ":9: a share is {" },
	{ "keys : { shares = ( { replicas = [ \"/a\" ]; driver = \"file\"; } ); };", ":9: driver is not a setting of a share\n" },
	{ "keys : { shares = ( { replicas = [ ]; } ); };", ":9: a share has 1 to 8 replicas" },
	{ "keys : { shares = ( { replicas = [ 1 ]; } ); };", ":9: a replica of a share must be an absolute path" },
	{ "keys : { shares = ( { replicas = [ \"a\" ]; } ); };", ":9: a replica of a share must be an absolute path" },
	{ "keys : { shares = ( { replicas = [ \"/\" ]; } ); };", ":9: / must be a directory of its own" },
	{ "keys : { shares = ( { replicas = [ \"/a/\" ]; } ); };", ":9: /a/ must be a directory of its own" },
	{ "keys : { shares = ( { replicas = [ \"/a//b\" ]; } ); };", ":9: /a//b must be a directory of its own" },
	{ "keys : { shares = ( { replicas = [ \"/a/../b\" ]; } ); };", ":9: /a/../b must be a directory of its own" },
	{ "keys : { shares = ( { replicas = [ \"/1\", \"/2\", \"/3\", \"/4\", \"/5\", \"/6\", \"/7\", \"/8\", \"/9\" ]; } ); };",
		":9: a share has 1 to 8 replicas" },
	{ "keys : { share = ( ); };", ":9: keys.share is not a setting: did you mean keys.shares?" },
#define TOKENS(TEXT) "keys : { shares = ( { replicas = [ \"/a\" ]; tokens = " TEXT "; } ); };"
	{ TOKENS("5"), ":9: tokens of a share are a list, one for each of its replicas" },
	{ TOKENS("( )"), ":9: tokens of a share are a list" },
	{ TOKENS("( 5 )"), ":9: a token is {" },
	{ TOKENS("( { label = \"a\"; pin_file = \"/p\"; } )"), ":9: a token is {" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_file = \"/p\"; pin = \"1\"; } )"), ":9: pin is not a setting of a token" },
	{ TOKENS("( { module = \"m\"; label = \"a\"; pin_file = \"/p\"; } )"), ":9: the module of a token must be an absolute path" },
	{ TOKENS("( { module = \"/m\"; pin_file = \"/p\"; } )"), ":9: a token has either label or serial" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; serial = \"1\"; pin_file = \"/p\"; } )"), ":9: a token has either label or serial" },
	{ TOKENS("( { module = \"/m\"; serial = 5; pin_file = \"/p\"; } )"), ":9: serial of a token must be 1 to 32 bytes" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; } )"), ":9: a token has either pin_file or pin_credential" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_file = \"p\"; } )"), ":9: pin_file of a token must be an absolute path" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_credential = \"../p\"; } )"), ":9: pin_credential of a token is a name, not a path" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_file = \"/p\"; environment = \"A=b\"; } )"), ":9: environment of a token is [" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_file = \"/p\"; environment = [ \"A\" ]; } )"), ":9: environment of a token is [" },
	{ TOKENS("( { module = \"/m\"; label = \"a\"; pin_file = \"/p\"; environment = [ \"LD_PRELOAD=/x\" ]; } )"), ":9: environment of a token is [" },
	{ "keys : { shares = ( { replicas = [ \"/a\", \"/b\" ]; tokens = ( { module = \"/m\"; label = \"a\"; pin_file = \"/p\"; }, "
	  "{ module = \"/m\"; label = \"a\"; pin_file = \"/p\"; } ); } ); };", ":9: two replicas of a share are on token a" },
	{ "keys : { share = ( ); };", ":9: keys.share is not a setting" },
	{ "archives : { destinations = ( 1 ); };", ":9: a destination is {" },
	{ "archives : { destinations = ( { name = \"a\"; } ); };", ":9: a destination is {" },
	{ "archives : { destinations = ( { name = \"\"; directory = \"/a\"; } ); };", ":9: the name of a destination" },
	{ "archives : { destinations = ( { name = \"a\"; directory = \"a\"; } ); };", ":9: the directory of a destination" },
	{ "archives : { destinations = ( { name = \"a\"; directory = \"/a/\"; } ); };", ":9: /a/ must be a directory of its own" },
	{ "archives : { destinations = ( { name = \"a\"; directory = \"/a\"; }, { name = \"a\"; directory = \"/b\"; } ); };",
		":9: two destinations have the name" },
	{ "archives : { destinations = ( { name = \"a\"; directory = \"/a\"; }, { name = \"b\"; directory = \"/a\"; } ); };",
		":9: two destinations are /a" },
	{ DESTINATIONS("{ name = \"a\"; }, { name = \"b\"; directory = \"/a\"; }"), ":9: a destination is {" },
	{ DESTINATIONS("{ name = \"c\"; store = [ \"/c\", \"{id}\" ]; }"), ":9: every destination is a command, which has no key journal" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\" ]; directory = \"/c\"; }"), ":9: a destination is {" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; fetch = [ \"/c\", \"{id}\" ]; }"), ":9: a destination is {" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\" ]; timeout_second = 5; }"), ":9: timeout_second is not a setting of a destination: did you mean timeout_seconds?" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = \"/c {id}\"; }"), ":9: store of a destination is a list of 1 to 64 texts" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ ]; }"), ":9: store of a destination is a list of 1 to 64 texts" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = ( \"/c\", 5, \"{id}\" ); }"), ":9: an argument of store must be at most 4095 bytes" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"a\\nb\", \"{id}\" ]; }"), ":9: an argument of store must be at most 4095 bytes" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"c\", \"{id}\" ]; }"), ":9: store begins with the absolute path of a program" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c{id}\", \"{id}\" ]; }"), ":9: store begins with the absolute path of a program" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\", \"{tenant}\" ]; }"), ":9: store: braces hold {id} and nothing else" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\", \"a}\" ]; }"), ":9: store: braces hold {id} and nothing else" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\" ]; }"), ":9: store never says {id}" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\" ]; remove = [ \"/c\" ]; }"), ":9: remove never says {id}" },
	{ DESTINATIONS(DIRECTORY "{ name = \"a\"; store = [ \"/c\", \"{id}\" ]; }"), ":9: two destinations have the name a" },
	{ DESTINATIONS(DIRECTORY "{ name = \"c\"; store = [ \"/c\", \"{id}\" ]; timeout_seconds = 0; }"), ":9: timeout_seconds of a destination must be between" },
	{ "keys : { barriers = ( 5 ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"standby\"; } ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"standbys\"; timeout_seconds = 5; } ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"standby\"; names = \"a\"; timeout_seconds = 5; } ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"standby\"; name = \"a\"; timeout = 5; } ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"wal-archive\"; name = \"a\"; timeout_seconds = 5; } ); };", ":9: a barrier is {" },
	{ "keys : { barriers = ( { kind = \"standby\"; name = \"\"; timeout_seconds = 5; } ); };", ":9: the name of a standby must be" },
	{ "keys : { barriers = ( { kind = \"wal-archive\"; timeout_seconds = 0; } ); };", ":9: timeout_seconds of a barrier must be" },
	{ "keys : { barriers = ( { kind = \"wal-archive\"; timeout_seconds = \"5\"; } ); };", ":9: timeout_seconds of a barrier must be" },
	{ "keys : { barriers = ( { kind = \"standby\"; timeout_seconds = 5; }, { kind = \"standby\"; timeout_seconds = 6; } ); };",
		":9: this barrier is there twice" },
	{ "keys : { anchor = \"anchor\"; };", ":9: keys.anchor must be an absolute path" },
	{ "stores = ( { name = \"a\"; kind = \"other\"; retention_days = 1; }, { name = \"a\"; kind = \"other\"; retention_days = 2; } );", ":9: two stores have" },
};

START_TEST(bad_settings_are_named_with_their_line)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;

	ck_assert_int_eq(load_with(bad_cases[_i].more, &config, &problems), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_ptr_null(config);
	ck_assert_msg(strstr(str_cstr(&problems), bad_cases[_i].problem) != NULL, "%s", str_cstr(&problems));
}
END_TEST

START_TEST(all_problems_come_at_once)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	int lines = 0;

	ck_assert_int_eq(load("map = \"relative\";\nissuer : { name = \"a b\"; key = \"/k\"; };\ncaps = { rows_per_run = 0; };\n"
			      "colour = 1;\n", &config, &problems), -1);
	for (const char *c = problems.s; *c != '\0'; c++)
		lines += *c == '\n';
	/* missing: conninfo, three directories, processor, three caps */
	ck_assert_int_eq(lines, 12);
	ck_assert_ptr_nonnull(strstr(err.msg, "12 problems"));
	ck_assert_ptr_nonnull(strstr(problems.s, ":1: map must be an absolute path\n"));
	ck_assert_ptr_nonnull(strstr(problems.s, ":2: issuer.name must be printable ASCII without spaces"));
	ck_assert_ptr_nonnull(strstr(problems.s, ":3: caps.rows_per_run must be between"));
	ck_assert_ptr_nonnull(strstr(problems.s, ":4: colour is not a setting\n"));
	ck_assert_ptr_nonnull(strstr(problems.s, ": caps.subjects_per_run is missing"));
}
END_TEST

START_TEST(no_destructive_parameter_has_a_default)
{
	const struct setting *s = config_settings();

	for (int i = 0; i < SETTING_COUNT; i++) {
		ck_assert_ptr_nonnull(s[i].name);
		ck_assert_ptr_nonnull(s[i].help);
		if (strncmp(s[i].name, "caps.", 5) == 0)
			ck_assert_msg(s[i].preset == NULL, "%s", s[i].name);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(s[i].name, s[j].name);
	}
}
END_TEST

START_TEST(files_that_others_write_are_refused)
{
	CLEANUP(config_freep) struct config *config = NULL;
	static const mode_t modes[] = { 0602, 0620, 0666 };

	ck_assert_int_eq(load(good, &config, NULL), 0);
	config_freep(&config);
	ck_assert_int_eq(chmod(path, modes[_i]), 0);
	ck_assert_int_eq(config_load(&config, path, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.hint, "chmod go-w"));
}
END_TEST

START_TEST(missing_files_are_usage_errors)
{
	CLEANUP(config_freep) struct config *config = NULL;
	struct conf_document *document = NULL;

	ck_assert_int_eq(config_load(&config, "/nonexistent/expunge.conf", NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_int_eq(conf_read(&document, "/nonexistent/map.conf", &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
}
END_TEST

static const struct {
	const char *text, *problem; /* NULL: good */
} document_cases[] = {
	{ "a = 1;", NULL },
	{ "a = 2147483647;", NULL },
	{ "a = 5000000000L;", NULL },
	{ "a = -5; b = 0x1F; c = 1.5; d = 1e3; e = true;", NULL },
	{ "a = \"5000000000\"; # 5000000000\n// 5000000000 @include\n/* 5000000000 */ b = 1;", NULL },
	{ "a = \"quote \\\" 5000000000\";", NULL },
	{ "a5000000000 = 1;", NULL },
	{ "a = 1;\nb = 5000000000;", "text:2: the number is too large" },
	{ "a = 2147483648;", "text:1: the number is too large" },
	{ "a = 0x1FFFFFFFF;", "text:1: the number is too large" },
	{ "a = 99999999999999999999L;", "text:1: the number is too large" },
	{ "a = 1;\n\n@include \"/etc/passwd\"\n", "text:3: @include is not supported" },
	{ "a = ;", "text:1: syntax error" },
	{ "a = 1;\nb = (", "text:2: syntax error" },
	{ "a = 1; a = 2;", "duplicate setting name" },
	{ "a = \"unfinished", "syntax error" },
	{ "a = \"\xff\";", "not UTF-8" },
};

START_TEST(documents_are_read_strictly)
{
	CLEANUP(conf_freep) struct conf_document *document = NULL;
	const char *problem = document_cases[_i].problem;

	ck_assert_int_eq(conf_read_text(&document, "text", document_cases[_i].text, &err), problem == NULL ? 0 : -1);
	if (problem != NULL) {
		ck_assert_int_eq(err.code, ERR_USAGE);
		ck_assert_msg(strstr(err.msg, problem) != NULL, "%s", err.msg);
	}
}
END_TEST

START_TEST(hostile_documents_end)
{
	CLEANUP(free_text) char *text = mem_zero(2000001, 1);
	struct conf_document *document = NULL;

	(void)memset(text, '(', 2000000);
	(void)memcpy(text, "a = ", 4);
	ck_assert_int_eq(conf_read_text(&document, "text", text, &err), -1);
	ck_assert_ptr_null(document);
}
END_TEST

START_TEST(nodes_answer_for_every_type)
{
	CLEANUP(conf_freep) struct conf_document *document = NULL;
	const struct conf_node *root, *list;

	ck_assert_int_eq(conf_read_text(&document, "text", "t = \"x\";\ni = -3;\nw = 5000000000L;\nb = true;\nf = 1.5;\n"
						   "l = ( 1,\n  \"two\" );\na = [ 1, 2 ];\ng : { x = 1; };", &err), 0);
	root = conf_root(document);
	ck_assert_uint_eq(conf_count(root), 8);
	ck_assert_int_eq(conf_type(root), CONF_GROUP);
	ck_assert_str_eq(conf_text(conf_member(root, "t")), "x");
	ck_assert_int_eq(conf_int(conf_member(root, "i")), -3);
	ck_assert(conf_int(conf_member(root, "w")) == INT64_C(5000000000));
	ck_assert(conf_bool(conf_member(root, "b")));
	ck_assert_int_eq(conf_type(conf_member(root, "f")), CONF_OTHER);
	ck_assert_int_eq(conf_type(conf_member(root, "a")), CONF_LIST);
	ck_assert_int_eq(conf_type(conf_member(root, "g")), CONF_GROUP);
	list = conf_member(root, "l");
	ck_assert_int_eq(conf_type(list), CONF_LIST);
	ck_assert_uint_eq(conf_count(list), 2);
	ck_assert_ptr_null(conf_name(conf_at(list, 0)));
	ck_assert_int_eq(conf_line(conf_at(list, 1)), 7);
	ck_assert_ptr_null(conf_at(list, 2));
	ck_assert_ptr_null(conf_text(conf_at(list, 0)));
	ck_assert_int_eq(conf_int(conf_at(list, 1)), 0);
	ck_assert_ptr_null(conf_member(root, "missing"));
	ck_assert_ptr_null(conf_member(list, "t"));
	ck_assert_uint_eq(conf_count(conf_member(root, "t")), 0);
	ck_assert_str_eq(conf_name(conf_at(root, 1)), "i");
}
END_TEST

/* ---- the sample file ----------------------------------------------------------------------- */

/* the comments of a file as one text with single spaces; the caller frees */
static char *
prose_of(const char *text)
{
	struct str prose = STR_INIT;

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *start = line + strspn(line, "\t");

		if (start[0] == '#' && start[1] == ' ') {
			str_add_n(&prose, start + 1, strcspn(start + 1, "\n"));
		}
	}
	return str_take(&prose);
}

/* the file with its commented settings ("#name = ...") in force; the caller frees */
static char *
uncommented(const char *text)
{
	struct str all = STR_INIT;

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *start = line + strspn(line, "\t");

		if (start[0] == '#' && start[1] != ' ' && start[1] != '\n')
			start++;
		str_add_n(&all, start, strcspn(start, "\n"));
		str_add(&all, "\n");
	}
	return str_take(&all);
}

START_TEST(sample_file_loads_as_it_is)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(free_text) char *text = NULL;

	ck_assert_int_eq(file_read(SAMPLE, 1 << 20, &text, NULL, &err), 0);
	ck_assert_msg(load(text, &config, &problems) == 0, "%s", str_cstr(&problems));
	ck_assert_ptr_null(config_list(config, SET_STORES));
}
END_TEST

START_TEST(sample_file_shows_every_setting)
{
	const struct setting *s = &config_settings()[_i];
	CLEANUP(config_freep) struct config *plain = NULL, *full = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(free_text) char *text = NULL, *prose = NULL, *all = NULL, *last = NULL;
	const char *dot = strrchr(s->name, '.');

	ck_assert_int_eq(file_read(SAMPLE, 1 << 20, &text, NULL, &err), 0);
	prose = prose_of(text);
	all = uncommented(text);
	ck_assert_msg(strstr(prose, s->help) != NULL, "the help of %s is not in " SAMPLE, s->name);
	last = mem_printf("\n%s%s = ", s->preset == NULL ? "" : "#", dot == NULL ? s->name : dot + 1);
	for (char *c = text; *c != '\0'; c++) /* take the indentation away */
		if (c[0] == '\n')
			while (c[1] == '\t')
				(void)memmove(c + 1, c + 2, strlen(c + 2) + 1);
	ck_assert_msg(strstr(text, last) != NULL, "%s is not %s in " SAMPLE, s->name,
		s->preset == NULL ? "set" : "shown as a comment");
	ck_assert_int_eq(load(text, &plain, NULL), 0);
	ck_assert_msg(load(all, &full, &problems) == 0, "%s", str_cstr(&problems));
	if (s->type == SETTING_LIST)
		ck_assert_ptr_nonnull(config_list(full, (enum setting_id)_i));
	else if (config_text(full, (enum setting_id)_i) != NULL)
		ck_assert_str_eq(config_text(full, (enum setting_id)_i), config_text(plain, (enum setting_id)_i));
	else
		ck_assert_int_eq(config_int(full, (enum setting_id)_i), config_int(plain, (enum setting_id)_i));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config");
	TCase *c = tcase_create("config");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, defaults_fill_what_is_absent);
	tcase_add_loop_test(c, bad_settings_are_named_with_their_line, 0, (int)(sizeof(bad_cases) / sizeof(bad_cases[0])));
	tcase_add_test(c, all_problems_come_at_once);
	tcase_add_test(c, no_destructive_parameter_has_a_default);
	tcase_add_loop_test(c, files_that_others_write_are_refused, 0, 3);
	tcase_add_test(c, missing_files_are_usage_errors);
	tcase_add_loop_test(c, documents_are_read_strictly, 0, (int)(sizeof(document_cases) / sizeof(document_cases[0])));
	tcase_add_test(c, hostile_documents_end);
	tcase_add_test(c, nodes_answer_for_every_type);
	tcase_add_test(c, sample_file_loads_as_it_is);
	tcase_add_loop_test(c, sample_file_shows_every_setting, 0, SETTING_COUNT);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
