/* Owner paths: what is read from good ones, where bad ones are refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "map/map.h"
#include "map/name.h"

/* "F a,b>s.t(p,q)?c=v": the kind, this table's columns, the target, its columns, the condition. */
static char *
spell(const struct map_path *p)
{
	struct str s = STR_INIT;

	str_addf(&s, "%c ", "FRA"[p->kind]);
	for (size_t i = 0; i < p->n_columns; i++)
		str_addf(&s, "%s%s", i > 0 ? "," : "", p->column_names[i]);
	str_addf(&s, ">%s", p->target_name);
	for (size_t i = 0; p->target_column_names != NULL && i < p->n_columns; i++)
		str_addf(&s, "%s%s", i > 0 ? "," : "(", p->target_column_names[i]);
	str_add(&s, p->target_column_names != NULL ? ")" : "");
	if (p->when_column_name != NULL)
		str_addf(&s, "?%s=%s", p->when_column_name, p->when_value);
	return str_take(&s);
}

static const struct {
	const char *text, *meaning;
} good[] = {
	{ "patient_id -> app.patient", "F patient_id>app.patient" },
	{ "patient_id->app.patient", "F patient_id>app.patient" },
	{ "  patient_id  ->  app.patient  ", "F patient_id>app.patient" },
	{ "code -> app.patient(nhs_number)", "F code>app.patient(nhs_number)" },
	{ "(a, b) -> app.x(p, q)", "F a,b>app.x(p,q)" },
	{ "(a,b)->app.x", "F a,b>app.x" },
	{ "(a) -> app.x", "F a>app.x" },
	{ "pk <- bill.bill_item(fk_bill)", "R pk>bill.bill_item(fk_bill)" },
	{ "(a, b) <- app.x(p, q)", "R a,b>app.x(p,q)" },
	{ "any(patient_ids) -> app.patient", "A patient_ids>app.patient" },
	{ "any ( patient_ids ) -> app.patient ( id )", "A patient_ids>app.patient(id)" },
	{ "any -> app.patient", "F any>app.patient" },
	{ "anyone -> app.patient", "F anyone>app.patient" },
	{ "any <- app.x(y)", "R any>app.x(y)" },
	{ "ref_id -> app.patient when ref_type = 'patient'", "F ref_id>app.patient?ref_type=patient" },
	{ "ref_id -> app.patient(id) when ref_type='it''s'", "F ref_id>app.patient(id)?ref_type=it's" },
	{ "ref_id -> app.patient when kind = ''", "F ref_id>app.patient?kind=" },
	{ "any(ids) -> app.patient when k = 'p' ", "A ids>app.patient?k=p" },
	{ "id <- app.x(y) when k = 'p'", "R id>app.x(y)?k=p" },
	{ "when -> app.patient when when = 'when'", "F when>app.patient?when=when" },
	{ "\"odd \"\"name\" -> \"Odd.Schema\".\"t -> x\"(\"a,b\")", "F odd \"name>\"Odd.Schema\".\"t -> x\"(a,b)" },
	{ "\"plain\" -> \"app\".\"patient\"", "F plain>app.patient" },
	{ "Name -> App.Patient", "F Name>App.Patient" },
	{ "größe -> app.patient", "F größe>app.patient" },
	{ "id -> app.patient when \"odd kind\" = '; DROP'", "F id>app.patient?odd kind=; DROP" },
};

static const char *const bad[] = {
	"",
	" ",
	"patient_id",
	"patient_id ->",
	"patient_id - > app.patient",
	"patient_id => app.patient",
	"patient_id -> patient",
	"patient_id -> .patient",
	"patient_id -> app.",
	"patient_id -> app.patient.id",
	"patient_id -> app . patient",
	"-> app.patient",
	"() -> app.patient",
	"(a,) -> app.x",
	"(a b) -> app.x",
	"(a, b -> app.x",
	"a, b -> app.x(p, q)",
	"(a, b) -> app.x(p)",
	"(a, b) -> app.x(p, q, r)",
	"a -> app.x(p, q)",
	"a -> app.x()",
	"a -> app.x(p",
	"pk <- app.x",
	"any(a, b) -> app.x",
	"any() -> app.x",
	"any(a) <- app.x(y)",
	"a -> app.x garbage",
	"a -> app.x; DROP TABLE app.x",
	"a -> app.x(p)when k = 'v'",
	"a -> app.x when",
	"a -> app.x when k",
	"a -> app.x when k =",
	"a -> app.x when k = v",
	"a -> app.x when k = 1",
	"a -> app.x when k = 'v",
	"a -> app.x when k = 'v' or true",
	"a -> app.x when k = 'v''",
	"a -> app.x whenk = 'v'",
	"a -> app.x when k <> 'v'",
	"\"a -> app.x",
	"\"\" -> app.x",
	"a -> \"app.x",
};

START_TEST(good_paths)
{
	struct map_path path;
	struct err err = { .code = ERR_NONE };
	CLEANUP(free_text) char *meaning = NULL;

	ck_assert_msg(map_path_parse(&path, good[_i].text, &err) == 0, "%s: %s", good[_i].text, err.msg);
	meaning = spell(&path);
	ck_assert_str_eq(meaning, good[_i].meaning);
	ck_assert_str_eq(path.text, good[_i].text);
	map_path_release(&path);
}
END_TEST

START_TEST(bad_paths)
{
	struct map_path path;
	struct err err = { .code = ERR_NONE };

	ck_assert_msg(map_path_parse(&path, bad[_i], &err) == -1, "accepted: %s", bad[_i]);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.msg, "expected"));
	ck_assert_ptr_null(path.column_names);
	ck_assert_ptr_null(path.target_name);
}
END_TEST

/* Every prefix of every good path is read or refused, and leaves nothing behind (run with ASan). */
START_TEST(cut_short)
{
	size_t n = strlen(good[_i].text);

	for (size_t k = 0; k < n; k++) {
		struct map_path path;
		struct err err = { .code = ERR_NONE };
		char *text = strndup(good[_i].text, k);

		if (map_path_parse(&path, text, &err) == 0)
			map_path_release(&path);
		free(text);
	}
}
END_TEST

START_TEST(names)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
	} rows[] = {
		{ "app.patient", "app.patient" },
		{ "\"app\".\"patient\"", "app.patient" },
		{ "App.Patient", "App.Patient" },
		{ "\"a.b\".c", "\"a.b\".c" },
		{ "a.\"b.c\"", "a.\"b.c\"" },
		{ "a.\"x\"\"y\"", "a.\"x\"\"y\"" },
		{ "a.1st", "a.1st" },
		{ "a", NULL },
		{ "a.b.c", NULL },
		{ "a.b ", NULL },
		{ " a.b", NULL },
		{ "a.b-c", NULL },
		{ "a.\"\"", NULL },
		{ "a.\"b", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(free_text) char *got = name_canonical(rows[i].text);

		if (rows[i].canonical == NULL)
			ck_assert_msg(got == NULL, "accepted %s as %s", rows[i].text, got);
		else {
			ck_assert_ptr_nonnull(got);
			ck_assert_str_eq(got, rows[i].canonical);
		}
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("path");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, good_paths, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(tcase, bad_paths, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_loop_test(tcase, cut_short, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_test(tcase, names);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
