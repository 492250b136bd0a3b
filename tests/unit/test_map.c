/* Reading, binding, checking and discovering maps, without a database. */
#include <stdio.h>

#include "map_fixture.h"

#include "base/cleanup.h"
#include "map/check.h"
#include "map/discover.h"
#include "map/show.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define PATIENT "{ table = \"app.patient\"; action = \"delete\"; }"
#define TABLES(lines) FIX_HEAD "tables = (" lines ");\n"

static struct catalog *catalog;

static void
set_up(void)
{
	catalog = mem_zero(1, sizeof(*catalog));
	fix_table(catalog, "app.code", "code:S* label:S");
	fix_table(catalog, "app.invoice", "id:S* patient_id:N payer:S total:N! scan:O issued:D full:S=");
	fix_table(catalog, "app.log_patient", "log_id:N* id:N! name:S");
	fix_table(catalog, "app.message", "id:N* ref_type:S! ref_id:S! body:S sent_at:D");
	fix_table(catalog, "app.patient", "id:N* practice_id:N! name:S! merged:N created_at:D");
	fix_table(catalog, "app.practice", "id:N* name:S");
	fix_table(catalog, "app.staff", "id:N* patient_id:N practice_id:N!");
	fix_table(catalog, "app.visit", "id:N* patient_id:N! patients:A day:D");
	fix_fk(catalog, "app.invoice", "patient_id", "app.patient", "id", 'r');
	fix_fk(catalog, "app.patient", "practice_id", "app.practice", "id", 'a');
	fix_fk(catalog, "app.staff", "practice_id", "app.practice", "id", 'a');
	fix_fk(catalog, "app.visit", "patient_id", "app.patient", "id", 'a');
	fix_index(catalog, "app.visit", "patient_id", false);
	fix_index(catalog, "app.invoice", "patient_id", false);
	fix_index(catalog, "app.log_patient", "id", false);
}

static void
tear_down(void)
{
	catalog_freep(&catalog);
}

#define EXTERNAL(list) FIX_HEAD "tables = (" PATIENT "); external = " list

static const struct {
	const char *text;    /* a whole map, or NULL with `lines` */
	const char *problem; /* what some line of the problems (or the error) says */
} bad_maps[] = {
	{ "", "needs tenant" },
	{ "tenant : {", "syntax error" },
	{ "subject : { table = \"app.patient\"; key = \"id\"; }; tables = (" PATIENT ");", "needs tenant" },
	{ "tenant : { }; subject : { table = \"app.patient\"; key = \"id\"; }; tables = (" PATIENT ");", "tenant needs table and key" },
	{ "tenant : { table = \"a.b\"; key = \"id\"; constant = \"x\"; }; subject : { table = \"app.patient\"; key = \"id\"; tenant = \"p\"; }; tables = (" PATIENT ");",
		"or constant" },
	{ "tenant : { table = \"a.b\"; key = \"id\"; }; subject : { table = \"app.patient\"; key = \"id\"; }; tables = (" PATIENT ");",
		"if and only if" },
	{ "tenant : { constant = \"t\"; }; subject : { table = \"app.patient\"; key = \"id\"; tenant = \"x\"; }; tables = (" PATIENT ");",
		"if and only if" },
	{ "tenant : { constant = \"t\"; }; tables = (" PATIENT ");", "needs subject" },
	{ FIX_HEAD, "needs tables" },
	{ TABLES(""), "needs a line for app.patient" },
	{ FIX_HEAD "tables = { };", "must be a list of groups" },
	{ FIX_HEAD "tables = ( \"x\" );", "must be a group" },
	{ FIX_HEAD "externals = ( ); tables = (" PATIENT ");", "but no \"externals\"" },
	{ EXTERNAL("{ };"), "must be a list of groups" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; } );"), "needs name, owner and command" },
	{ EXTERNAL("( { name = \"x\"; command = \"/x {subject}\"; } );"), "needs name, owner and command" },
	{ EXTERNAL("( { name = \"x:y\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; } );"), "without a colon" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"x\", \"{subject}\" ]; } );"), "absolute path" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{tenant}\" ]; } );"), "never says {subject}" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; account = [ \"/x\", \"all\" ]; } );"), "never says {tenant}" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; account = [ \"x\", \"{tenant}\" ]; } );"), "absolute path" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; account = [ \"/x\", \"{tenant}\", \"{subject}\" ]; } );"),
		"is about a whole account" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{patient}\", \"{subject}\" ]; } );"), "braces hold" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject\" ]; } );"), "braces hold" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"subject}\" ]; } );"), "braces hold" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/{tenant}\", \"{subject}\" ]; } );"), "none in the program's path" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; timeout_seconds = 0; } );"), "between 1 and 3600" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; timeout_seconds = \"9\"; } );"), "between 1 and 3600" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; shell = true; } );"), "has no setting \"shell\"" },
	{ EXTERNAL("( { name = \"x\"; owner = \"o\"; command = [ \"/x\", \"{subject}\" ]; }, "
		"{ name = \"x\"; owner = \"p\"; command = [ \"/y\", \"{subject}\" ]; } );"), "was given in line" },
	{ TABLES("{ table = \"patient\"; action = \"delete\"; }"), "is not schema.table" },
	{ TABLES("{ table = 5; action = \"delete\"; }"), "must be a text" },
	{ TABLES("{ action = \"delete\"; }"), "needs table" },
	{ TABLES(PATIENT ", " PATIENT), "was given in line" },
	{ TABLES("{ table = \"app.patient\"; }"), "needs an action" },
	{ TABLES("{ table = \"app.patient\"; action = \"remove\"; }"), "action must be" },
	{ TABLES("{ table = \"app.patient\"; action = \"reference\"; }"), "is the subject's table" },
	{ TABLES("{ table = \"app.patient\"; action = \"shared\"; }"), "is the subject's table" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; masc = \"x\"; }"), "has no setting \"masc\"" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"delete\"; }"), "needs an owner path" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"none\"; }"), "needs a reason" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"reference\"; owner = \"a -> app.patient\"; }"), "such rows have no owner" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"delete\"; owner = \"a => app.patient\"; }"), "expected '->' or '<-'" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"delete\"; owner = 5; }"), "owner must be a text" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"mask\"; log_of = \"app.patient\"; }"), "its action is delete" },
	{ TABLES(PATIENT ", { table = \"app.x\"; action = \"delete\"; owner = \"a -> app.patient\"; log_key = [ \"a\" ]; }"), "no log_of" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; columns = [ \"a\" ]; }"), "must be a group" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; columns = ( { mask = \"null\"; } ); }"), "needs column" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"a\"; lo = \"yes\"; } ); }"), "must be true or false" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"a\"; documents = \"My Letters\"; } ); }"),
		"documents must be a word of 1 to 40 small letters" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"a\"; }, { column = \"a\"; } ); }"), "was given in line" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; created = \"a\nb\"; }"), "control or bidirectional" },
	{ TABLES("{ table = \"app.patient\"; action = \"delete\"; created = \"a\xe2\x80\xae\"; }"), "control or bidirectional" },
	{ FIX_HEAD "session : { constraints = \"later\"; }; tables = (" PATIENT ");", "must be \"immediate\"" },
	{ FIX_HEAD "session : { disable = ( { table = \"app.patient\"; rule = \"r\"; } ); }; tables = (" PATIENT ");", "and reason" },
	{ FIX_HEAD "session : { disable = ( { table = \"app.patient\"; rule = \"r\"; trigger = \"t\"; reason = \"x\"; } ); }; tables = (" PATIENT ");",
		"one of them" },
	{ "@include \"other.conf\"\n" TABLES(PATIENT), "a map is one file" },
	{ TABLES("\n  @include \"other.conf\"\n"), "a map is one file" },
};

START_TEST(bad_maps_are_refused)
{
	struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };

	ck_assert_msg(map_read_text(&map, bad_maps[_i].text, "x.conf", &said, &err) == -1, "accepted: %s", bad_maps[_i].text);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_ptr_null(map);
	str_add(&said, err.msg);
	ck_assert_msg(strstr(said.s, bad_maps[_i].problem) != NULL, "wanted \"%s\", got: %s", bad_maps[_i].problem, said.s);
}
END_TEST

START_TEST(external_stores_are_read)
{
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };

	ck_assert_int_eq(map_read_text(&map, EXTERNAL("( { name = \"documents\"; owner = \"IT\"; "
		"command = [ \"/bin/forget\", \"--tenant={tenant}\", \"{subject}\" ]; timeout_seconds = 5; }, "
		"{ name = \"mail\"; owner = \"Post\"; command = [ \"/bin/m\", \"{subject}\" ]; } );"), "x.conf", &said, &err), 0);
	ck_assert_uint_eq(map->n_externals, 2);
	ck_assert_str_eq(map->externals[0].name, "documents");
	ck_assert_str_eq(map->externals[0].owner, "IT");
	ck_assert_uint_eq(map->externals[0].command.n, 3);
	ck_assert_str_eq(map->externals[0].command.names[1], "--tenant={tenant}");
	ck_assert_int_eq(map->externals[0].timeout_seconds, 5);
	ck_assert_int_eq(map->externals[1].timeout_seconds, 60);
}
END_TEST

static const struct {
	const char *argument, *text; /* NULL: refused */
} arguments[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "{tenant}", "t'1" },
	{ "{subject}", "{tenant}" }, /* a value is never read for placeholders again */
	{ "a{tenant}b{subject}{request}c", "at'1b{tenant}r-1c" },
	{ "{tenants}", NULL },
	{ "{", NULL },
	{ "}", NULL },
	{ "{}", NULL },
	{ "{Tenant}", NULL },
	{ "{{tenant}}", NULL },
};

START_TEST(arguments_of_external_stores)
{
	CLEANUP(free_text) char *text = map_external_argument(arguments[_i].argument, "t'1", "{tenant}", "r-1");

	if (arguments[_i].text == NULL)
		ck_assert_ptr_null(text);
	else
		ck_assert_str_eq(text, arguments[_i].text);
}
END_TEST

START_TEST(all_problems_at_once)
{
	struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };

	ck_assert_int_eq(map_read_text(&map, TABLES("{ table = \"app.patient\"; action = \"x\"; },\n{ table = \"y\"; action = \"none\"; },\n"
		"{ table = \"app.z\"; action = \"none\"; }"), "x.conf", &said, &err), -1);
	ck_assert_ptr_nonnull(strstr(said.s, "x.conf:3: action must be"));
	ck_assert_ptr_nonnull(strstr(said.s, "x.conf:4: table \"y\" is not"));
	ck_assert_ptr_nonnull(strstr(said.s, "x.conf:5: app.z has action none"));
	ck_assert_ptr_nonnull(strstr(err.msg, "4 problems"));
}
END_TEST

START_TEST(a_map_with_everything)
{
	struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };
	const struct map_table *t;

	ck_assert_msg(map_read_text(&map,
		"tenant : { table = \"app.practice\"; key = \"id\"; };\n"
		"subject : { table = \"app.patient\"; key = \"id\"; tenant = \"practice_id\"; merged_into = \"merged\"; birth = [ \"created_at\" ]; };\n"
		"session : { login = \"app_owner\"; read_write = true; constraints = [ \"app.c1\", \"app.c2\" ]; acknowledge = [ \"touch\" ];\n"
		"  disable = ( { table = \"app.patient\"; trigger = \"t\"; reason = \"why\"; } ); };\n"
		"tables = ( " PATIENT ",\n"
		"{ table = \"app.invoice\"; owner = [ \"patient_id -> app.patient\", \"any(x) -> app.patient\" ]; action = \"retain\"; class = \"financial\";\n"
		"  reason = \"tax law\"; created = \"issued\"; key = \"id\"; before = \"app.patient\"; after = [ \"app.patient\" ]; creates = [ \"app.log_patient\" ];\n"
		"  mentions = [ \"payer\" ]; acknowledge = [ \"tr\" ];\n"
		"  columns = ( { column = \"payer\"; mask = \"erased-{key}\"; identifying = true; lo = false; } ); },\n"
		"{ table = \"app.log_patient\"; log_of = \"\\\"app\\\".patient\"; log_key = [ \"id\" ]; } );\n",
		"x.conf", &said, &err) == 0, "%s%s", str_cstr(&said), err.msg);
	ck_assert_str_eq(map->tenant_table, "app.practice");
	ck_assert_str_eq(map->subject_merged_into, "merged");
	ck_assert_uint_eq(map->subject_birth.n, 1);
	ck_assert_uint_eq(map->constraints.n, 2);
	ck_assert(!map->constraints_immediate && map->read_write);
	ck_assert_uint_eq(map->acknowledge.n, 1);
	ck_assert_uint_eq(map->n_disable, 1);
	ck_assert_uint_eq(map->n_tables, 3);
	t = &map->tables[1];
	ck_assert_int_eq(t->action, MAP_RETAIN);
	ck_assert_uint_eq(t->n_paths, 2);
	ck_assert_int_eq(t->paths[1].kind, MAP_ARRAY);
	ck_assert_str_eq(t->columns[0].mask, "erased-{key}");
	ck_assert(t->columns[0].identifying && !t->columns[0].lo);
	ck_assert_int_eq(t->line, 6);
	ck_assert_int_eq(map->tables[2].action, MAP_DELETE);
	ck_assert_str_eq(map->tables[2].log_of, "app.patient");
	ck_assert_uint_eq(strlen(map->hash), 71);
	map_free(map);
}
END_TEST

static const struct {
	const char *lines, *problem;
} bad_binds[] = {
	{ PATIENT ", { table = \"app.nowhere\"; action = \"tenant\"; }", "the database has no table app.nowhere" },
	{ PATIENT ", { table = \"app.Visit\"; action = \"tenant\"; }", "the database has no table app.Visit" },
	{ "{ table = \"app.patient\"; action = \"delete\"; key = [ \"nix\" ]; }", "key names column nix" },
	{ "{ table = \"app.patient\"; action = \"delete\"; key = [ \"merged\" ]; }", "may be null" },
	{ "{ table = \"app.patient\"; action = \"delete\"; created = \"name\"; }", "no date or time" },
	{ "{ table = \"app.patient\"; action = \"delete\"; mentions = [ \"nix\" ]; }", "mentions names column nix" },
	{ "{ table = \"app.patient\"; action = \"delete\"; before = [ \"app.visit\" ]; }", "the map has no line for" },
	{ "{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"nix\"; } ); }", "columns names column nix" },
	{ "{ table = \"app.patient\"; action = \"mask\"; columns = ( { column = \"id\"; mask = \"x\"; } ); }", "part of the key" },
	{ "{ table = \"app.patient\"; action = \"mask\"; columns = ( { column = \"created_at\"; mask = \"empty\"; } ); }", "there is no empty value" },
	{ "{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"created_at\"; lo = true; } ); }", "cannot hold the oid" },
	{ "{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"created_at\"; documents = \"letters\"; } ); }", "cannot hold the path of a file" },
	{ "{ table = \"app.patient\"; action = \"delete\"; columns = ( { column = \"name\"; lo = true; documents = \"letters\"; } ); }",
		"is a large object: it cannot hold the path" },
	{ "{ table = \"app.patient\"; action = \"mask\"; columns = ( { column = \"name\"; documents = \"letters\"; mask = \"gone\"; } ); }",
		"its mask must be" },
	{ PATIENT ", { table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"shared\"; columns = ( { column = \"payer\"; documents = \"letters\"; } ); }",
		"rows of several subjects cannot name documents" },
	{ PATIENT ", { table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"retain\"; columns = ( { column = \"full\"; mask = \"null\"; } ); }",
		"is generated" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"nix -> app.patient\"; action = \"delete\"; }", "names column nix" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"patient_id -> app.patient(nix)\"; action = \"delete\"; }", "names column nix" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"patient_id -> app.staff\"; action = \"delete\"; }", "the map has no line for app.staff" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"(patient_id, id) -> app.patient\"; action = \"delete\"; }", "the key of app.patient has 1" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"day -> app.patient\"; action = \"delete\"; }", "is timestamp with time zone, but id is bigint" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"any(patient_id) -> app.patient\"; action = \"delete\"; }", "is no array" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"patients -> app.patient\"; action = \"delete\"; }", "is bigint[], but id is bigint" },
	{ PATIENT ", { table = \"app.visit\"; owner = \"patient_id -> app.patient when nix = 'a'\"; action = \"delete\"; }", "names column nix" },
	{ PATIENT ", { table = \"app.log_patient\"; log_of = \"app.visit\"; }", "the map has no line for" },
	{ PATIENT ", { table = \"app.log_patient\"; log_of = \"app.patient\"; log_key = [ \"id\", \"name\" ]; }", "log_key has 2" },
	{ PATIENT ", { table = \"app.log_patient\"; log_of = \"app.patient\"; log_key = [ \"nix\" ]; }", "names column nix" },
};

START_TEST(bad_binds_are_refused)
{
	char *text = mem_printf(TABLES("%s"), bad_binds[_i].lines);
	struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };

	ck_assert_msg(map_read_text(&map, text, "x.conf", &said, &err) == 0, "%s", str_cstr(&said));
	ck_assert_msg(map_bind(map, catalog, &said, &err) == -1, "bound: %s", text);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_msg(strstr(str_cstr(&said), bad_binds[_i].problem) != NULL, "wanted \"%s\", got: %s", bad_binds[_i].problem, str_cstr(&said));
	map_free(map);
	free(text);
}
END_TEST

#define VISIT_TO(column) PATIENT ", { table = \"app.visit\"; owner = \"patient_id -> app.patient" column "\"; action = \"delete\"; }"

/* A path without target columns means the key; a foreign key to another column is not that. */
START_TEST(a_default_that_contradicts_the_foreign_key)
{
	const char *map_text = TABLES(VISIT_TO(""));
	struct map *map = NULL;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct err err = { .code = ERR_NONE };
	struct cat_fk *fk = &catalog->fks[3];

	fk->target_columns[0] = catalog_column(&catalog->tables[fk->target], "practice_id");
	ck_assert_int_eq(map_read_text(&map, map_text, "x.conf", &said, &err), 0);
	ck_assert_int_eq(map_bind(map, catalog, &said, &err), -1);
	ck_assert_ptr_nonnull(strstr(said.s, "name it in parentheses"));
	map_free(map);
	map_free(fix_map(catalog, VISIT_TO("(practice_id)")));
}
END_TEST

START_TEST(bound_fields)
{
	struct map *map = fix_map(catalog, PATIENT ","
		"{ table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; columns = ( { column = \"scan\"; lo = true; } ); },"
		"{ table = \"app.message\"; owner = \"ref_id -> app.patient when ref_type = 'patient'\"; action = \"delete\"; mentions = [ \"body\" ]; },"
		"{ table = \"app.visit\"; owner = [ \"patient_id -> app.patient\", \"any(patients) -> app.patient\" ]; action = \"delete\"; created = \"day\"; },"
		"{ table = \"app.log_patient\"; log_of = \"app.patient\"; }");
	const struct map_table *log = &map->tables[4];

	ck_assert_int_eq(map->subject, 0);
	ck_assert_int_eq(map->subject_key_column, 0);
	ck_assert(map->tables[1].paths[0].nullable);
	ck_assert(!map->tables[3].paths[0].nullable);
	ck_assert_int_eq(map->tables[2].paths[0].when_column, 1);
	ck_assert_str_eq(map->tables[2].paths[0].target_column_names[0], "id");
	ck_assert_int_eq(map->tables[3].created_column, 3);
	ck_assert_int_eq(log->log_table, 0);
	ck_assert_int_eq(log->log_columns[0], 1);
	ck_assert_uint_eq(log->n_paths, 1);
	ck_assert_str_eq(log->paths[0].text, "(id) -> app.patient");
	ck_assert_int_eq(log->paths[0].target, 0);
	ck_assert_uint_eq(log->n_key_columns, 1);
	map_free(map);
}
END_TEST

/* Lines that settle every table of the fixture but the one under test. */
#define REST_PATIENT PATIENT ","
#define REST_INVOICE "{ table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; columns = ( { column = \"scan\"; lo = true; } ); },"
#define REST_VISIT "{ table = \"app.visit\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; },"
#define REST_LOG "{ table = \"app.log_patient\"; log_of = \"app.patient\"; },"
#define REST_MESSAGE "{ table = \"app.message\"; action = \"none\"; reason = \"x\"; },"
#define REST_OTHERS "{ table = \"app.code\"; action = \"reference\"; reason = \"x\"; }, { table = \"app.practice\"; action = \"tenant\"; }, { table = \"app.staff\"; action = \"tenant\"; }"
#define REST_ALL REST_PATIENT REST_INVOICE REST_VISIT REST_LOG REST_MESSAGE REST_OTHERS

/* "+code@table" for errors, "-code@table" for warnings, in the order of the findings. */
static char *
findings_of(const char *lines)
{
	struct map *map = fix_map(catalog, lines);
	struct findings findings;
	struct err err = { .code = ERR_NONE };
	struct str s = STR_INIT;

	ck_assert_int_eq(map_check(&findings, map, NULL, &err), 0);
	for (size_t i = 0; i < findings.n; i++) {
		const struct finding *f = &findings.items[i];

		ck_assert(*f->message != '\0' && *f->remedy != '\0');
		str_addf(&s, "%s%c%s@%s", i > 0 ? " " : "", f->level == FINDING_ERROR ? '+' : '-', f->code, f->table);
	}
	findings_release(&findings);
	map_free(map);
	return str_take(&s);
}

static void
expect(const char *lines, const char *wanted)
{
	char *got = findings_of(lines);

	ck_assert_str_eq(got, wanted);
	free(got);
}

START_TEST(a_settled_map)
{
	expect(REST_ALL, "-nullable-path@app.invoice");
}
END_TEST

START_TEST(unclassified_tables)
{
	expect(REST_PATIENT REST_INVOICE REST_LOG REST_MESSAGE REST_OTHERS, "+unclassified-table@app.visit -nullable-path@app.invoice");
}
END_TEST

START_TEST(partitions_and_children)
{
	int child = fix_table(catalog, "app.visit_2020", "id:N* patient_id:N! patients:A day:D");

	catalog->tables[child].root = catalog_table(catalog, "app.visit");
	expect(REST_ALL, "-nullable-path@app.invoice");
	expect(REST_ALL ", { table = \"app.visit_2020\"; action = \"tenant\"; }", "+partition-mapped@app.visit_2020 -nullable-path@app.invoice");
	catalog->tables[child].kind = 'f';
	expect(REST_ALL, "+foreign-table@app.visit -nullable-path@app.invoice");
	catalog->tables[child].kind = 'r';
	catalog->tables[child].root = -1;
	*MEM_PUSH(catalog->tables[child].parents, catalog->tables[child].n_parents) = catalog_table(catalog, "app.visit");
	expect(REST_ALL, "+inheritance-child@app.visit_2020 -nullable-path@app.invoice");
}
END_TEST

START_TEST(foreign_tables)
{
	catalog->tables[catalog_table(catalog, "app.visit")].kind = 'f';
	expect(REST_ALL, "+foreign-table@app.visit -nullable-path@app.invoice");
}
END_TEST

#define RETAIN(columns) REST_PATIENT "{ table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"retain\"; created = \"issued\"; columns = (" columns "); }," \
	REST_VISIT REST_LOG REST_MESSAGE REST_OTHERS
#define KEPT "{ column = \"total\"; mask = \"keep\"; }, { column = \"scan\"; mask = \"null\"; lo = true; }"

START_TEST(columns_of_rows_that_stay)
{
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"null\"; identifying = true; }"), "-nullable-path@app.invoice");
	expect(RETAIN(KEPT), "+unclassified-column@app.invoice -nullable-path@app.invoice");
	expect(RETAIN(KEPT ", { column = \"payer\"; identifying = true; }"), "+unclassified-column@app.invoice -nullable-path@app.invoice");
	expect(RETAIN("{ column = \"total\"; mask = \"null\"; }, { column = \"scan\"; mask = \"null\"; }, { column = \"payer\"; mask = \"empty\"; }"),
		"+mask-not-null@app.invoice -nullable-path@app.invoice");
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"empty\"; }, { column = \"patient_id\"; mask = \"keep\"; }"),
		"+retain-not-null@app.invoice -nullable-path@app.invoice");
	catalog->tables[catalog_table(catalog, "app.invoice")].columns[1].not_null = true;
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"empty\"; }"), "+retain-not-null@app.invoice");
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"empty\"; }, { column = \"patient_id\"; mask = \"0\"; }"), "");
}
END_TEST

START_TEST(large_objects_of_deleted_rows)
{
	expect(REST_PATIENT "{ table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; }," REST_VISIT REST_LOG REST_MESSAGE REST_OTHERS,
		"+unclassified-column@app.invoice -nullable-path@app.invoice");
	expect(REST_PATIENT "{ table = \"app.invoice\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; columns = ( { column = \"scan\"; mask = \"keep\"; } ); },"
		REST_VISIT REST_LOG REST_MESSAGE REST_OTHERS, "-nullable-path@app.invoice");
}
END_TEST

#define CHILD_AND(setting) REST_ALL ", { table = \"audit.child\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; }," \
	"{ table = \"audit.parent\"; action = \"none\"; reason = \"x\"; columns = ( { column = \"orig\"; " setting " } ); }"

/* GNUmed: a hundred audit tables inherit a column of type oid from one parent. */
START_TEST(large_objects_by_inheritance)
{
	int child = fix_table(catalog, "audit.child", "id:N* patient_id:N! orig:O^");
	int parent = fix_table(catalog, "audit.parent", "orig:O");

	*MEM_PUSH(catalog->tables[child].parents, catalog->tables[child].n_parents) = parent;
	fix_index(catalog, "audit.child", "patient_id", false);
	expect(CHILD_AND("mask = \"keep\";"), "-nullable-path@app.invoice");
	expect(CHILD_AND(""), "-nullable-path@app.invoice +unclassified-column@audit.child");
}
END_TEST

#define VISIT_ACKNOWLEDGES(names) REST_PATIENT REST_INVOICE "{ table = \"app.visit\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; acknowledge = [" names "]; }," \
	REST_LOG REST_MESSAGE REST_OTHERS

START_TEST(triggers_and_rules)
{
	struct cat_trigger *t = fix_trigger(catalog, "app.visit", "tr");

	t->on_update = true; /* no business of a table whose rows are deleted */
	expect(REST_ALL, "-nullable-path@app.invoice");
	t->on_delete = true;
	expect(REST_ALL, "-nullable-path@app.invoice +delete-trigger@app.visit");
	expect(VISIT_ACKNOWLEDGES("\"tr\""), "-nullable-path@app.invoice");
	expect(VISIT_ACKNOWLEDGES("\"tx\""), "-nullable-path@app.invoice -stale-acknowledge@app.visit +delete-trigger@app.visit");
	t->enabled = false;
	expect(REST_ALL, "-nullable-path@app.invoice");
	t->enabled = true;
	t->on_delete = t->on_update = false;
	t->on_insert = t->deferrable = true;
	expect(REST_ALL, "-nullable-path@app.invoice +deferred-trigger@app.visit");
	fix_rule(catalog, "app.visit", "r", '4');
	fix_rule(catalog, "app.visit", "r_ins", '3');
	expect(VISIT_ACKNOWLEDGES("\"tr\""), "-nullable-path@app.invoice +delete-rule@app.visit");
	expect(VISIT_ACKNOWLEDGES("\"tr\", \"r\""), "-nullable-path@app.invoice");
}
END_TEST

START_TEST(triggers_on_masked_rows)
{
	struct cat_trigger *t = fix_trigger(catalog, "app.invoice", "tr");

	t->on_update = true;
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"null\"; }"), "-nullable-path@app.invoice +delete-trigger@app.invoice");
	fix_rule(catalog, "app.invoice", "r", '2');
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"null\"; }"),
		"-nullable-path@app.invoice +delete-trigger@app.invoice +delete-rule@app.invoice");
}
END_TEST

START_TEST(session_acknowledges_and_disables)
{
	static const char *const session[] = {
		"session : { acknowledge = [ \"tr\" ]; };",
		"session : { disable = ( { table = \"app.visit\"; trigger = \"tr\"; reason = \"x\"; } ); };",
	};
	struct cat_trigger *t = fix_trigger(catalog, "app.visit", "tr");

	t->on_delete = true;
	for (int i = 0; i < 2; i++) {
		char *text = mem_printf(FIX_HEAD "%s tables = (" REST_ALL ");", session[i]);
		struct map *map = NULL;
		struct findings findings;
		struct err err = { .code = ERR_NONE };

		ck_assert_int_eq(map_read_text(&map, text, "x.conf", NULL, &err), 0);
		ck_assert_int_eq(map_bind(map, catalog, NULL, &err), 0);
		ck_assert_int_eq(map_check(&findings, map, NULL, &err), 0);
		ck_assert_uint_eq(findings.n_errors, 0);
		findings_release(&findings);
		map_free(map);
		free(text);
	}
}
END_TEST

START_TEST(cascades)
{
	static const char actions[] = "cnd";
	struct cat_fk *fk = fix_fk(catalog, "app.staff", "patient_id", "app.patient", "id", 'a');

	expect(REST_ALL, "-nullable-path@app.invoice");
	for (size_t i = 0; i < 3; i++) {
		fk->on_delete = actions[i];
		expect(REST_ALL, "-nullable-path@app.invoice +cascade@app.staff");
	}
	expect(REST_PATIENT REST_INVOICE REST_VISIT REST_LOG REST_MESSAGE "{ table = \"app.code\"; action = \"reference\"; reason = \"x\"; }, { table = \"app.practice\"; action = \"tenant\"; },"
		"{ table = \"app.staff\"; action = \"tenant\"; acknowledge = [ \"staff_patient_id_fkey\" ]; }", "-nullable-path@app.invoice");
}
END_TEST

START_TEST(rows_that_stay_and_still_refer)
{
	fix_fk(catalog, "app.invoice", "total", "app.visit", "id", 'a');
	expect(RETAIN(KEPT ", { column = \"payer\"; mask = \"null\"; }"), "-nullable-path@app.invoice +dangling@app.invoice");
}
END_TEST

START_TEST(paths)
{
	/* no index */
	expect(REST_PATIENT REST_INVOICE "{ table = \"app.visit\"; owner = [ \"patient_id -> app.patient\", \"any(patients) -> app.patient\" ]; action = \"delete\"; },"
		REST_LOG REST_MESSAGE REST_OTHERS, "-nullable-path@app.invoice -unindexed-path@app.visit");
	fix_index(catalog, "app.visit", "patients", true);
	expect(REST_PATIENT REST_INVOICE "{ table = \"app.visit\"; owner = [ \"patient_id -> app.patient\", \"any(patients) -> app.patient\" ]; action = \"delete\"; },"
		REST_LOG REST_MESSAGE REST_OTHERS, "-nullable-path@app.invoice");
	/* nowhere */
	expect(REST_PATIENT REST_INVOICE "{ table = \"app.visit\"; owner = \"patient_id -> app.staff\"; action = \"delete\"; }," REST_LOG REST_MESSAGE REST_OTHERS,
		"-nullable-path@app.invoice +unreachable@app.visit +unreachable@app.visit");
	expect(REST_PATIENT REST_INVOICE "{ table = \"app.visit\"; owner = \"patient_id -> app.visit\"; action = \"delete\"; }," REST_LOG REST_MESSAGE REST_OTHERS,
		"-nullable-path@app.invoice +unreachable@app.visit");
}
END_TEST

START_TEST(unindexed_foreign_keys)
{
	fix_fk(catalog, "app.message", "id", "app.visit", "id", 'a')->indexed = false;
	expect(REST_ALL, "-nullable-path@app.invoice -unindexed-fk@app.message");
}
END_TEST

START_TEST(cycles)
{
	fix_fk(catalog, "app.visit", "id", "app.invoice", "id", 'a');
	fix_fk(catalog, "app.invoice", "id", "app.visit", "id", 'a');
	expect(REST_ALL, "-nullable-path@app.invoice -cycle@app.visit");
}
END_TEST

START_TEST(keys_and_reasons)
{
	char *got;

	catalog->tables[catalog_table(catalog, "app.log_patient")].n_key = 0;
	expect(REST_PATIENT REST_INVOICE REST_VISIT REST_LOG REST_MESSAGE
		"{ table = \"app.code\"; action = \"reference\"; }, { table = \"app.practice\"; action = \"tenant\"; }, { table = \"app.staff\"; action = \"tenant\"; }",
		"-nullable-path@app.invoice -no-key@app.log_patient -no-reason@app.code");
	for (size_t i = 0; i < catalog->n_indexes; i++)
		catalog->indexes[i].unique = false;
	got = findings_of(REST_ALL);
	ck_assert_ptr_nonnull(strstr(got, "+subject-key@app.patient"));
	free(got);
}
END_TEST

START_TEST(hash_follows_the_schema)
{
	char before[72], after[72];
	struct err err = { .code = ERR_NONE };
	struct cat_table *visit = &catalog->tables[catalog_table(catalog, "app.visit")];

	ck_assert_int_eq(catalog_hash(catalog, before, &err), 0);
	visit->oid += 1000;
	visit->rows = 77;
	ck_assert_int_eq(catalog_hash(catalog, after, &err), 0);
	ck_assert_str_eq(before, after);
	visit->columns[1].not_null = false;
	ck_assert_int_eq(catalog_hash(catalog, after, &err), 0);
	ck_assert_str_ne(before, after);
	visit->columns[1].not_null = true;
	fix_trigger(catalog, "app.visit", "tr");
	ck_assert_int_eq(catalog_hash(catalog, after, &err), 0);
	ck_assert_str_ne(before, after);
	/* a name cannot imitate the end of a field or of a line */
	free(visit->columns[3].name);
	visit->columns[3].name = mem_copy("day\ttext\nrule");
	ck_assert_int_eq(catalog_hash(catalog, before, &err), 0);
	ck_assert_str_ne(before, after);
}
END_TEST

START_TEST(a_draft_is_a_map)
{
	CLEANUP(str_release) struct str draft = STR_INIT;
	CLEANUP(str_release) struct str said = STR_INIT;
	struct map *map = NULL;
	struct err err = { .code = ERR_NONE };

	fix_trigger(catalog, "app.visit", "tr\n}); evil = 1; (")->on_delete = true;
	ck_assert_msg(map_discover(&draft, catalog, NULL, NULL, &err) == 0, "%s", err.msg);
	ck_assert_msg(map_read_text(&map, draft.s, "draft", &said, &err) == 0, "%s%s\n%s", str_cstr(&said), err.msg, draft.s);
	ck_assert_msg(map_bind(map, catalog, &said, &err) == 0, "%s\n%s", str_cstr(&said), draft.s);
	ck_assert_str_eq(map->subject_table, "app.patient");
	ck_assert_str_eq(map->tenant_table, "app.practice");
	ck_assert_uint_eq(map->n_tables, catalog->n_tables);
	ck_assert_str_eq(map->tables[map_table(map, "app.visit")].paths[0].text, "patient_id -> app.patient");
	ck_assert_str_eq(map->tables[map_table(map, "app.log_patient")].log_of, "app.patient");
	ck_assert_str_eq(map->tables[map_table(map, "app.message")].paths[0].text, "ref_id -> app.patient when ref_type = 'patient'");
	ck_assert_int_eq(map->tables[map_table(map, "app.staff")].action, MAP_TENANT);
	ck_assert_int_eq(map->tables[map_table(map, "app.code")].action, MAP_REFERENCE);
	ck_assert(map_column(&map->tables[map_table(map, "app.invoice")], 4)->lo);
	/* the draft acknowledges nothing: the trigger is still for a person to look at */
	ck_assert_uint_eq(map->tables[map_table(map, "app.visit")].acknowledge.n, 0);
	ck_assert_ptr_nonnull(strstr(draft.s, "# unsure: read trigger tr\\n}"));
	map_free(map);
	ck_assert_int_eq(map_discover(&draft, catalog, "app.nix", NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
}
END_TEST

static char *
printed(const struct map *map, const char *table, bool json)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct err err = { .code = ERR_NONE };

	ck_assert_int_eq(table == NULL ? map_show(out, map, json, &err) : map_explain(out, map, table, json, &err), 0);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

START_TEST(show_and_explain)
{
	struct map *map = fix_map(catalog, REST_PATIENT REST_VISIT REST_LOG
		"{ table = \"app.invoice\"; owner = \"id <- app.visit(day)\"; action = \"retain\"; class = \"financial\"; columns = ( { column = \"payer\"; mask = \"null\"; } ); }");
	struct err err = { .code = ERR_NONE };
	char *text = printed(map, NULL, false);

	ck_assert_ptr_nonnull(strstr(text, "app.invoice      retain     financial  id <- app.visit(day) [payer: null]\n"));
	free(text);
	text = printed(map, "app.invoice", false);
	ck_assert_ptr_nonnull(strstr(text, "belongs to the subject because id <- app.visit(day), and there patient_id -> app.patient\n"));
	free(text);
	text = printed(map, "app.patient", false);
	ck_assert_ptr_nonnull(strstr(text, "waits for: app.visit, app.invoice\n"));
	free(text);
	text = printed(map, "app.patient", true);
	ck_assert_ptr_nonnull(strstr(text, "\"waits_for\": ["));
	free(text);
	ck_assert_int_eq(map_explain(stdout, map, "app.nix", false, &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	map_free(map);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, bad_maps_are_refused, 0, COUNT(bad_maps));
	tcase_add_test(tcase, external_stores_are_read);
	tcase_add_loop_test(tcase, arguments_of_external_stores, 0, COUNT(arguments));
	tcase_add_test(tcase, all_problems_at_once);
	tcase_add_test(tcase, a_map_with_everything);
	tcase_add_loop_test(tcase, bad_binds_are_refused, 0, COUNT(bad_binds));
	tcase_add_test(tcase, a_default_that_contradicts_the_foreign_key);
	tcase_add_test(tcase, bound_fields);
	tcase_add_test(tcase, a_settled_map);
	tcase_add_test(tcase, unclassified_tables);
	tcase_add_test(tcase, partitions_and_children);
	tcase_add_test(tcase, foreign_tables);
	tcase_add_test(tcase, columns_of_rows_that_stay);
	tcase_add_test(tcase, large_objects_of_deleted_rows);
	tcase_add_test(tcase, large_objects_by_inheritance);
	tcase_add_test(tcase, triggers_and_rules);
	tcase_add_test(tcase, triggers_on_masked_rows);
	tcase_add_test(tcase, session_acknowledges_and_disables);
	tcase_add_test(tcase, cascades);
	tcase_add_test(tcase, rows_that_stay_and_still_refer);
	tcase_add_test(tcase, paths);
	tcase_add_test(tcase, unindexed_foreign_keys);
	tcase_add_test(tcase, cycles);
	tcase_add_test(tcase, keys_and_reasons);
	tcase_add_test(tcase, hash_follows_the_schema);
	tcase_add_test(tcase, a_draft_is_a_map);
	tcase_add_test(tcase, show_and_explain);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
