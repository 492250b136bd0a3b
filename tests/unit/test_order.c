/* The orders of collecting and of removing. */
#include <stdio.h>

#include "map_fixture.h"

#include "base/cleanup.h"
#include "map/order.h"

static struct catalog *catalog;

static void
set_up(void)
{
	catalog = mem_zero(1, sizeof(*catalog));
	fix_table(catalog, "app.a", "id:N* patient_id:N! b_id:N");
	fix_table(catalog, "app.b", "id:N* patient_id:N! a_id:N");
	fix_table(catalog, "app.bill", "id:N* x:S");
	fix_table(catalog, "app.item", "id:N* patient_id:N! bill_id:N");
	fix_table(catalog, "app.log_patient", "id:N name:S");
	fix_table(catalog, "app.note", "id:N* visit_id:N!");
	fix_table(catalog, "app.patient", "id:N* merged:N name:S");
	fix_table(catalog, "app.staff", "id:N*");
	fix_table(catalog, "app.visit", "id:N* patient_id:N! staff_id:N");
	fix_fk(catalog, "app.a", "patient_id", "app.patient", "id", 'a');
	fix_fk(catalog, "app.b", "patient_id", "app.patient", "id", 'a');
	fix_fk(catalog, "app.item", "patient_id", "app.patient", "id", 'a');
	fix_fk(catalog, "app.item", "bill_id", "app.bill", "id", 'n');
	fix_fk(catalog, "app.note", "visit_id", "app.visit", "id", 'a');
	fix_fk(catalog, "app.visit", "patient_id", "app.patient", "id", 'a');
	fix_fk(catalog, "app.visit", "staff_id", "app.staff", "id", 'a');
}

static void
tear_down(void)
{
	catalog_freep(&catalog);
}

/* "0:app.note 1:app.visit 2*:app.patient": group, * for a cycle, name. */
static char *
spell(const struct map *map, const struct map_order *order)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < order->n; i++)
		str_addf(&s, "%s%d%s:%s", i > 0 ? " " : "", order->group[i], order->cyclic[order->group[i]] ? "*" : "",
			map->tables[order->tables[i]].name + 4);
	return str_take(&s);
}

static void
expect(const char *tables, const char *collect, const char *remove)
{
	struct map *map = fix_map(catalog, tables);
	struct map_order order;
	struct err err = { .code = ERR_NONE };
	char *got;

	ck_assert_int_eq(map_collect_order(&order, map, &err), 0);
	got = spell(map, &order);
	ck_assert_str_eq(got, collect);
	free(got);
	map_order_release(&order);
	ck_assert_int_eq(map_remove_order(&order, map, &err), 0);
	got = spell(map, &order);
	ck_assert_str_eq(got, remove);
	free(got);
	map_order_release(&order);
	map_free(map);
}

#define PATIENT "{ table = \"app.patient\"; action = \"delete\"; }"
#define VISIT "{ table = \"app.visit\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; }"
#define NOTE "{ table = \"app.note\"; owner = \"visit_id -> app.visit\"; action = \"delete\"; }"
#define A "{ table = \"app.a\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; }"
#define B "{ table = \"app.b\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; }"
#define STAFF "{ table = \"app.staff\"; action = \"tenant\"; }"

START_TEST(chain)
{
	expect(NOTE "," PATIENT "," VISIT "," STAFF, "0:patient 1:visit 2:note", "0:note 1:visit 2:patient");
}
END_TEST

START_TEST(self_reference)
{
	fix_fk(catalog, "app.patient", "merged", "app.patient", "id", 'a');
	expect(PATIENT "," VISIT, "0:patient 1:visit", "0:visit 1*:patient");
}
END_TEST

START_TEST(cycle)
{
	fix_fk(catalog, "app.a", "b_id", "app.b", "id", 'a');
	fix_fk(catalog, "app.b", "a_id", "app.a", "id", 'a');
	expect(PATIENT "," A "," B, "0:patient 1:a 2:b", "0*:b 0*:a 1:patient");
}
END_TEST

/* A wish opens the circle. */
START_TEST(cycle_opened)
{
	fix_fk(catalog, "app.a", "b_id", "app.b", "id", 'a');
	fix_fk(catalog, "app.b", "a_id", "app.a", "id", 'a');
	expect(PATIENT ", { table = \"app.a\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; before = [ \"app.b\" ]; }," B,
		"0:patient 1:a 2:b", "0:a 1:b 2:patient");
	expect(PATIENT ", { table = \"app.a\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; after = [ \"app.b\" ]; }," B,
		"0:patient 1:a 2:b", "0:b 1:a 2:patient");
}
END_TEST

/* GNUmed: the bill belongs to the patient through its items, and must go before them. */
START_TEST(before_against_foreign_key)
{
	expect(PATIENT ", { table = \"app.item\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; },"
		"{ table = \"app.bill\"; owner = \"id <- app.item(bill_id)\"; action = \"delete\"; before = [ \"app.item\" ]; }",
		"0:patient 1:item 2:bill", "0:bill 1:item 2:patient");
	expect(PATIENT ", { table = \"app.item\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; },"
		"{ table = \"app.bill\"; owner = \"id <- app.item(bill_id)\"; action = \"delete\"; }",
		"0:patient 1:item 2:bill", "0:item 1:patient 2:bill");
}
END_TEST

START_TEST(creates)
{
	/* nothing else orders a and b: the created goes after its creator */
	expect(PATIENT "," A ", { table = \"app.b\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; creates = [ \"app.a\" ]; }",
		"0:patient 1:a 2:b", "0:b 1:a 2:patient");
	/* the foreign key of note wants it before visit: a creation gives way */
	expect(PATIENT ", { table = \"app.visit\"; owner = \"patient_id -> app.patient\"; action = \"delete\"; creates = [ \"app.note\" ]; }," NOTE,
		"0:patient 1:visit 2:note", "0:note 1:visit 2:patient");
}
END_TEST

START_TEST(logs_are_last)
{
	expect("{ table = \"app.log_patient\"; log_of = \"app.patient\"; }, " PATIENT "," VISIT,
		"0:patient 1:log_patient 2:visit", "0:visit 1:patient 2:log_patient");
	/* ... unless a foreign key makes the patient wait for its log */
	fix_fk(catalog, "app.log_patient", "id", "app.patient", "id", 'a');
	expect(PATIENT "," VISIT ", { table = \"app.log_patient\"; log_of = \"app.patient\"; }",
		"0:patient 1:visit 2:log_patient", "0:visit 1:log_patient 2:patient");
}
END_TEST

/* Owner paths in a circle are one group for collecting. */
START_TEST(path_cycle)
{
	expect(PATIENT ", { table = \"app.a\"; owner = [ \"patient_id -> app.patient\", \"b_id -> app.b\" ]; action = \"delete\"; },"
		"{ table = \"app.b\"; owner = \"a_id -> app.a\"; action = \"delete\"; }",
		"0:patient 1*:b 1*:a", "0:a 1:b 2:patient");
}
END_TEST

START_TEST(removed_before)
{
	struct map *map = fix_map(catalog, PATIENT "," VISIT "," NOTE);
	struct err err = { .code = ERR_NONE };
	bool *before = map_removed_before(map, 0, &err);

	ck_assert_ptr_nonnull(before);
	ck_assert(!before[0] && before[1] && !before[2]);
	free(before);
	map_free(map);
}
END_TEST

START_TEST(a_thousand_tables)
{
	struct str text = STR_INIT;
	struct map *map;
	struct map_order order;
	struct err err = { .code = ERR_NONE };

	catalog_free(catalog);
	catalog = mem_zero(1, sizeof(*catalog));
	fix_table(catalog, "app.patient", "id:N*");
	for (int i = 0; i < 1000; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "app.t%04d", i);
		fix_table(catalog, name, "id:N* parent:N!");
	}
	str_add(&text, PATIENT);
	for (int i = 0; i < 1000; i++) {
		char name[32], parent[32];

		(void)snprintf(name, sizeof(name), "app.t%04d", i);
		(void)snprintf(parent, sizeof(parent), i == 999 ? "app.patient" : "app.t%04d", i + 1);
		fix_fk(catalog, name, "parent", parent, "id", 'a');
		str_addf(&text, ", { table = \"%s\"; owner = \"parent -> %s\"; action = \"delete\"; }", name, parent);
	}
	map = fix_map(catalog, text.s);
	ck_assert_int_eq(map_collect_order(&order, map, &err), 0);
	ck_assert_uint_eq(order.n, 1001);
	for (size_t i = 1; i < order.n; i++)
		ck_assert_int_eq(order.tables[i], 1001 - (int)i);
	map_order_release(&order);
	ck_assert_int_eq(map_remove_order(&order, map, &err), 0);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(order.tables[i], (int)i + 1);
	map_order_release(&order);
	map_free(map);
	str_release(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("order");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, chain);
	tcase_add_test(tcase, self_reference);
	tcase_add_test(tcase, cycle);
	tcase_add_test(tcase, cycle_opened);
	tcase_add_test(tcase, before_against_foreign_key);
	tcase_add_test(tcase, creates);
	tcase_add_test(tcase, logs_are_last);
	tcase_add_test(tcase, path_cycle);
	tcase_add_test(tcase, removed_before);
	tcase_add_test(tcase, a_thousand_tables);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
