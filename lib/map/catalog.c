#include "map/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/name.h"
#include "query.h"

/* Object ids to table indexes, sorted by oid, while the catalogue is put together. */
struct by_oid {
	uint32_t oid;
	int table;
};

struct builder {
	struct catalog *catalog;
	struct by_oid *oids;
	struct db *db;
};

static int
compare_full(const void *a, const void *b)
{
	return strcmp(((const struct cat_table *)a)->full, ((const struct cat_table *)b)->full);
}

static int
compare_oid(const void *a, const void *b)
{
	uint32_t x = ((const struct by_oid *)a)->oid, y = ((const struct by_oid *)b)->oid;

	return x < y ? -1 : x > y;
}

/* Index of the table with this oid, or -1: not one of ours, or made since the tables were read. */
static int
table_of(const struct builder *b, uint32_t oid)
{
	const struct by_oid key = { oid, 0 }, *found;

	if (b->catalog->n_tables == 0)
		return -1;
	found = bsearch(&key, b->oids, b->catalog->n_tables, sizeof(key), compare_oid);
	return found == NULL ? -1 : found->table;
}

static char *
text_at(const struct db_result *res, int row, int column)
{
	return mem_copy(db_get(res, row, column));
}

static uint32_t
oid_at(const struct db_result *res, int row, int column)
{
	return (uint32_t)db_get_int(res, row, column);
}

static int
read_tables(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct catalog *catalog = b->catalog;
	uint32_t *root;

	if (db_query(b->db, &QUERY_CATALOG_TABLES, NULL, &res, err) < 0)
		return -1;
	catalog->n_tables = (size_t)db_rows(res);
	catalog->tables = mem_zero(catalog->n_tables, sizeof(*catalog->tables));
	b->oids = mem_zero(catalog->n_tables, sizeof(*b->oids));
	root = mem_zero(catalog->n_tables, sizeof(*root));
	for (int i = 0; i < db_rows(res); i++) {
		struct cat_table *t = &catalog->tables[i];

		t->oid = oid_at(res, i, 0);
		t->schema = text_at(res, i, 1);
		t->name = text_at(res, i, 2);
		t->full = name_full(t->schema, t->name);
		t->quoted = text_at(res, i, 3);
		t->owner = text_at(res, i, 4);
		t->kind = db_get_text(res, i, 5)[0];
		t->root = i;
		root[i] = oid_at(res, i, 6);
		t->rows = db_get_int(res, i, 7);
		t->unlogged = db_get_bool(res, i, 8);
	}
	/* sorting by name carries `root` along as the row of the result it came from */
	qsort(catalog->tables, catalog->n_tables, sizeof(*catalog->tables), compare_full);
	for (size_t i = 0; i < catalog->n_tables; i++)
		b->oids[i] = (struct by_oid){ catalog->tables[i].oid, (int)i };
	qsort(b->oids, catalog->n_tables, sizeof(*b->oids), compare_oid);
	for (size_t i = 0; i < catalog->n_tables; i++) {
		uint32_t of = root[catalog->tables[i].root];

		catalog->tables[i].root = of == 0 || of == catalog->tables[i].oid ? -1 : table_of(b, of);
	}
	free(root);
	return 0;
}

static int
read_columns(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(b->db, &QUERY_CATALOG_COLUMNS, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int at = table_of(b, oid_at(res, i, 0));
		struct cat_table *t;
		struct cat_column *c;

		if (at < 0)
			continue;
		t = &b->catalog->tables[at];
		c = MEM_PUSH(t->columns, t->n_columns);
		c->number = (int)db_get_int(res, i, 1);
		c->name = text_at(res, i, 2);
		c->quoted = text_at(res, i, 3);
		c->type = text_at(res, i, 4);
		c->declared = text_at(res, i, 5);
		c->element = text_at(res, i, 6);
		c->category = db_get_text(res, i, 7)[0];
		c->not_null = db_get_bool(res, i, 8);
		c->generated = db_get_bool(res, i, 9);
		c->has_default = db_get_bool(res, i, 10);
		c->inherited = db_get_bool(res, i, 11);
		c->element_category = db_get_text(res, i, 12)[0];
		c->collation = text_at(res, i, 13);
		c->equals = text_at(res, i, 14);
		c->element_equals = text_at(res, i, 15);
	}
	return 0;
}

static int
read_parents(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(b->db, &QUERY_CATALOG_PARENTS, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int child = table_of(b, oid_at(res, i, 0)), parent = table_of(b, oid_at(res, i, 1));
		struct cat_table *t;

		if (child < 0 || parent < 0)
			continue;
		t = &b->catalog->tables[child];
		*MEM_PUSH(t->parents, t->n_parents) = parent;
	}
	return 0;
}

static int
column_by_number(const struct cat_table *table, long number)
{
	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].number == number)
			return (int)i;
	return -1;
}

/* "3,1,7" as column indexes, -1 for what is no column (0: an expression). */
static size_t
columns_of(const struct cat_table *table, const char *numbers, int **ret)
{
	size_t n = 0;

	*ret = NULL;
	for (const char *p = numbers; *p != '\0';) {
		char *end;
		long number = strtol(p, &end, 10);

		if (end == p)
			break;
		*MEM_PUSH(*ret, n) = column_by_number(table, number);
		p = *end == ',' ? end + 1 : end;
	}
	return n;
}

static bool
are_not_null(const struct cat_table *table, const int *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (columns[i] < 0 || !table->columns[columns[i]].not_null)
			return false;
	return n > 0;
}

/* The query lists a primary key first, then by the number of columns. */
static int
read_indexes(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct catalog *catalog = b->catalog;

	if (db_query(b->db, &QUERY_CATALOG_INDEXES, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int at = table_of(b, oid_at(res, i, 0));
		struct cat_table *t;
		struct cat_index *index;
		bool is_key = db_get_bool(res, i, 2) || db_get_bool(res, i, 3);

		if (at < 0)
			continue;
		t = &catalog->tables[at];
		index = MEM_PUSH(catalog->indexes, catalog->n_indexes);
		index->table = at;
		index->n_columns = columns_of(t, db_get_text(res, i, 1), &index->columns);
		index->unique = db_get_bool(res, i, 3);
		index->gin = strcmp(db_get_text(res, i, 4), "gin") == 0;
		if (t->n_key == 0 && is_key && are_not_null(t, index->columns, index->n_columns)) {
			t->n_key = index->n_columns;
			t->key = mem_zero(t->n_key, sizeof(*t->key));
			for (size_t k = 0; k < t->n_key; k++)
				t->key[k] = index->columns[k];
		}
	}
	return 0;
}

/* A partition goes with its root: the same columns there. */
static int
of_root(const struct catalog *catalog, int table, int *columns, size_t n)
{
	const struct cat_table *cat = &catalog->tables[table];

	if (cat->root < 0)
		return table;
	for (size_t i = 0; i < n; i++)
		if (columns[i] >= 0)
			columns[i] = catalog_column(&catalog->tables[cat->root], cat->columns[columns[i]].name);
	return cat->root;
}

static int
read_fks(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct catalog *catalog = b->catalog;

	if (db_query(b->db, &QUERY_CATALOG_FKS, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = table_of(b, oid_at(res, i, 2)), target = table_of(b, oid_at(res, i, 4));
		struct cat_fk *fk;

		if (table < 0 || target < 0)
			continue;
		fk = MEM_PUSH(catalog->fks, catalog->n_fks);
		fk->oid = oid_at(res, i, 0);
		fk->name = text_at(res, i, 1);
		fk->n_columns = columns_of(&catalog->tables[table], db_get_text(res, i, 3), &fk->columns);
		if (columns_of(&catalog->tables[target], db_get_text(res, i, 5), &fk->target_columns) != fk->n_columns)
			return err_set(err, ERR_RETRY, "foreign key %s has more columns on one side", fk->name);
		fk->table = of_root(catalog, table, fk->columns, fk->n_columns);
		fk->target = of_root(catalog, target, fk->target_columns, fk->n_columns);
		fk->on_delete = db_get_text(res, i, 6)[0];
		fk->deferrable = db_get_bool(res, i, 7);
		fk->indexed = catalog_is_indexed(catalog, fk->table, fk->columns, fk->n_columns, false);
	}
	return 0;
}

static int
read_triggers(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct catalog *catalog = b->catalog;

	if (db_query(b->db, &QUERY_CATALOG_TRIGGERS, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = table_of(b, oid_at(res, i, 0));
		struct cat_trigger *t;

		if (table < 0)
			continue;
		t = MEM_PUSH(catalog->triggers, catalog->n_triggers);
		t->table = table;
		t->name = text_at(res, i, 1);
		t->function = text_at(res, i, 2);
		t->on_insert = db_get_bool(res, i, 3);
		t->on_update = db_get_bool(res, i, 4);
		t->on_delete = db_get_bool(res, i, 5);
		t->on_truncate = db_get_bool(res, i, 6);
		t->row_level = db_get_bool(res, i, 7);
		t->before = db_get_bool(res, i, 8);
		t->deferrable = db_get_bool(res, i, 9);
		t->enabled = db_get_bool(res, i, 10);
		t->digest = text_at(res, i, 11);
	}
	return 0;
}

static int
read_rules(struct builder *b, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct catalog *catalog = b->catalog;

	if (db_query(b->db, &QUERY_CATALOG_RULES, NULL, &res, err) < 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = table_of(b, oid_at(res, i, 0));
		struct cat_rule *r;

		if (table < 0)
			continue;
		r = MEM_PUSH(catalog->rules, catalog->n_rules);
		r->table = table;
		r->name = text_at(res, i, 1);
		r->event = db_get_text(res, i, 2)[0];
		r->instead = db_get_bool(res, i, 3);
		r->conditional = db_get_bool(res, i, 4);
		r->enabled = db_get_bool(res, i, 5);
		r->digest = text_at(res, i, 6);
	}
	return 0;
}

/* A column that is not found belongs to a table changed between two of our queries. */
static int
settle(const struct catalog *catalog, struct err *err)
{
	for (size_t i = 0; i < catalog->n_fks; i++) {
		const struct cat_fk *fk = &catalog->fks[i];

		for (size_t k = 0; k < fk->n_columns; k++)
			if (fk->columns[k] < 0 || fk->target_columns[k] < 0)
				return err_set(err, ERR_RETRY, "the schema changed while it was read (foreign key %s of %s)",
					fk->name, catalog->tables[fk->table].full);
	}
	return 0;
}

int
catalog_read(struct catalog **ret, struct db *db, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *catalog = mem_zero(1, sizeof(*catalog));
	struct builder b = { catalog, NULL, db };
	int rc = 0;

	if (read_tables(&b, err) < 0 || read_columns(&b, err) < 0 || read_parents(&b, err) < 0 ||
		read_indexes(&b, err) < 0 || read_fks(&b, err) < 0 || read_triggers(&b, err) < 0 ||
		read_rules(&b, err) < 0 || settle(catalog, err) < 0)
		rc = err_prefix(err, "reading the schema");
	free(b.oids);
	if (rc == 0)
		*ret = TAKE_PTR(catalog);
	return rc;
}

int
catalog_table(const struct catalog *catalog, const char *full)
{
	size_t low = 0, high = catalog->n_tables;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(full, catalog->tables[middle].full);

		if (order == 0)
			return (int)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

int
catalog_column(const struct cat_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_columns; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The first n columns of the index are those of the list, in whatever order. */
static bool
index_starts_with(const struct cat_index *index, const int *columns, size_t n)
{
	if (index->n_columns < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < n && index->columns[k] != columns[i])
			k++;
		if (k == n)
			return false;
	}
	return true;
}

bool
catalog_is_indexed(const struct catalog *catalog, int table, const int *columns, size_t n, bool array)
{
	for (size_t i = 0; i < catalog->n_indexes; i++) {
		const struct cat_index *index = &catalog->indexes[i];

		if (index->table == table && index->gin == array && index_starts_with(index, columns, n))
			return true;
	}
	return false;
}

static void
free_table(struct cat_table *t)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		struct cat_column *c = &t->columns[i];

		free(c->name);
		free(c->quoted);
		free(c->type);
		free(c->declared);
		free(c->element);
		free(c->collation);
		free(c->equals);
		free(c->element_equals);
	}
	free(t->columns);
	free(t->schema);
	free(t->name);
	free(t->full);
	free(t->quoted);
	free(t->owner);
	free(t->parents);
	free(t->key);
}

void
catalog_free(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	for (size_t i = 0; i < catalog->n_tables; i++)
		free_table(&catalog->tables[i]);
	for (size_t i = 0; i < catalog->n_fks; i++) {
		free(catalog->fks[i].name);
		free(catalog->fks[i].columns);
		free(catalog->fks[i].target_columns);
	}
	for (size_t i = 0; i < catalog->n_triggers; i++) {
		free(catalog->triggers[i].name);
		free(catalog->triggers[i].function);
		free(catalog->triggers[i].digest);
	}
	for (size_t i = 0; i < catalog->n_rules; i++) {
		free(catalog->rules[i].name);
		free(catalog->rules[i].digest);
	}
	for (size_t i = 0; i < catalog->n_indexes; i++)
		free(catalog->indexes[i].columns);
	free(catalog->tables);
	free(catalog->fks);
	free(catalog->triggers);
	free(catalog->rules);
	free(catalog->indexes);
	free(catalog);
}

void
catalog_freep(struct catalog **catalog)
{
	catalog_free(*catalog);
	*catalog = NULL;
}

int
catalog_version(struct db *db, char ret[CATALOG_VERSION_SIZE], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_CATALOG_VERSION, NULL, &res, err) != 0)
		return -1;
	(void)snprintf(ret, CATALOG_VERSION_SIZE, "%s", db_get_text(res, 0, 0));
	return 0;
}
