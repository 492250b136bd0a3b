/* Drafts a map: owner paths from foreign keys, everything else from names, each guess marked. */
#include "map/discover.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/guess.h"
#include "map/name.h"

/* What is thought of one table of the catalogue. */
struct draft {
	int distance;      /* foreign keys between it and the subject; -1: no owner known */
	int logged;        /* the table whose old rows it keeps, or -1 */
	int reference;     /* column that refers to the subject without a foreign key, or -1 */
	int kind;          /* column that says whether it does, or -1 */
	int link;          /* foreign key of a link table that names it, or -1 */
	int inherits_from; /* parent whose path it takes over, or -1 */
	enum map_action action;
};

struct drafter {
	const struct catalog *catalog;
	struct draft *drafts;
	int subject, tenant;
	struct str *out;
};

static void
add_text(struct str *out, const char *text)
{
	str_add(out, "\"");
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			str_add(out, "\\");
		str_add_n(out, text, 1);
	}
	str_add(out, "\"");
}

static void
add_setting(struct str *out, const char *name, const char *value)
{
	str_addf(out, " %s = ", name);
	add_text(out, value);
	str_add(out, ";");
}

static bool
is_barrier(const struct drafter *d, int table)
{
	return table == d->tenant || (table != d->subject && guess_is_staff(&d->catalog->tables[table]));
}

/* Breadth first from the subject: a table that refers to one at distance n is at n + 1. */
static void
measure(struct drafter *d)
{
	const struct catalog *catalog = d->catalog;
	bool changed = true;

	d->drafts[d->subject].distance = 0;
	for (int n = 0; changed; n++) {
		changed = false;
		for (size_t i = 0; i < catalog->n_fks; i++) {
			const struct cat_fk *fk = &catalog->fks[i];
			int table = catalog->tables[fk->table].root >= 0 ? catalog->tables[fk->table].root : fk->table;

			if (d->drafts[fk->target].distance == n && d->drafts[table].distance < 0 && !is_barrier(d, table) &&
				!is_barrier(d, fk->target)) {
				d->drafts[table].distance = n + 1;
				changed = true;
			}
		}
	}
}

/* All columns of the key are in foreign keys, and there is more than one such key: a many-to-many link. */
static bool
is_link_table(const struct catalog *catalog, int table)
{
	const struct cat_table *t = &catalog->tables[table];
	size_t n = 0, covered = 0;

	for (size_t i = 0; i < catalog->n_fks; i++)
		n += catalog->fks[i].table == table;
	for (size_t k = 0; k < t->n_key; k++)
		for (size_t i = 0; i < catalog->n_fks; i++)
			if (catalog->fks[i].table == table && catalog->fks[i].n_columns == 1 &&
				catalog->fks[i].columns[0] == t->key[k]) {
				covered++;
				break;
			}
	return n >= 2 && t->n_key >= 2 && covered == t->n_key;
}

static int
find_link(const struct drafter *d, int table)
{
	const struct catalog *catalog = d->catalog;

	for (size_t i = 0; i < catalog->n_fks; i++) {
		const struct cat_fk *fk = &catalog->fks[i];

		if (fk->target == table && fk->table != table && fk->n_columns == 1 && d->drafts[fk->table].distance > 0 &&
			is_link_table(catalog, fk->table))
			return (int)i;
	}
	return -1;
}

static bool
refers_to(const struct catalog *catalog, int table, int target)
{
	for (size_t i = 0; i < catalog->n_fks; i++)
		if (catalog->fks[i].table == table && catalog->fks[i].target == target)
			return true;
	return false;
}

static void
decide(struct drafter *d, int table)
{
	const struct cat_table *t = &d->catalog->tables[table];
	struct draft *draft = &d->drafts[table];

	draft->logged = guess_logged(d->catalog, table);
	if (draft->distance < 0 && draft->logged < 0 && !is_barrier(d, table)) {
		draft->reference = guess_reference(t, &d->catalog->tables[d->subject]);
		if (draft->reference < 0)
			draft->reference = guess_polymorphic(t, &draft->kind);
		draft->link = find_link(d, table);
		for (size_t i = 0; i < t->n_parents; i++)
			if (d->drafts[t->parents[i]].distance > 0)
				draft->inherits_from = t->parents[i];
	}
	if (t->kind == 'f' || t->kind == 'm')
		draft->action = MAP_NONE;
	else if (draft->distance >= 0 || draft->logged >= 0 || draft->reference >= 0 || draft->inherits_from >= 0)
		draft->action = MAP_DELETE;
	else if (draft->link >= 0)
		draft->action = MAP_SHARED;
	else if (is_barrier(d, table) || (d->tenant >= 0 && refers_to(d->catalog, table, d->tenant)))
		draft->action = MAP_TENANT;
	else
		draft->action = MAP_REFERENCE;
}

/* A log of what is nobody's is nobody's too. */
static void
settle_logs(struct drafter *d)
{
	for (size_t i = 0; i < d->catalog->n_tables; i++) {
		struct draft *draft = &d->drafts[i];

		if (draft->logged < 0 || map_action_is_owned(d->drafts[draft->logged].action))
			continue;
		draft->action = draft->distance >= 0 ? MAP_DELETE : d->drafts[draft->logged].action;
		draft->logged = -1;
	}
}

static void
add_names(struct str *text, const struct cat_table *t, const int *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_add(text, i > 0 ? ", " : "");
		name_add(text, t->columns[columns[i]].name);
	}
}

static void
add_fk_path(struct drafter *d, const struct cat_fk *fk)
{
	CLEANUP(str_release) struct str path = STR_INIT;
	const struct cat_table *from = &d->catalog->tables[fk->table], *to = &d->catalog->tables[fk->target];
	bool is_key = to->n_key == fk->n_columns && memcmp(to->key, fk->target_columns, to->n_key * sizeof(int)) == 0;

	str_add(&path, fk->n_columns > 1 ? "(" : "");
	add_names(&path, from, fk->columns, fk->n_columns);
	str_addf(&path, "%s -> %s", fk->n_columns > 1 ? ")" : "", to->full);
	if (!is_key || fk->n_columns > 1) {
		str_add(&path, "(");
		add_names(&path, to, fk->target_columns, fk->n_columns);
		str_add(&path, ")");
	}
	add_text(d->out, path.s);
}

/* All foreign keys that lead one step nearer to the subject. Returns how many. */
static size_t
add_fk_paths(struct drafter *d, int table)
{
	const struct catalog *catalog = d->catalog;
	size_t n = 0;

	str_add(d->out, " owner = [ ");
	for (size_t i = 0; i < catalog->n_fks; i++) {
		const struct cat_fk *fk = &catalog->fks[i];

		if (fk->table != table || is_barrier(d, fk->target) ||
			d->drafts[fk->target].distance != d->drafts[table].distance - 1)
			continue;
		str_add(d->out, n++ > 0 ? ", " : "");
		add_fk_path(d, fk);
	}
	str_add(d->out, " ];");
	return n;
}

static void
add_owner(struct drafter *d, int table, struct str *unsure)
{
	const struct draft *draft = &d->drafts[table];
	const struct cat_table *t = &d->catalog->tables[table];
	CLEANUP(str_release) struct str path = STR_INIT;

	if (table == d->subject || !map_action_is_owned(draft->action))
		return;
	if (draft->distance > 0) {
		if (add_fk_paths(d, table) > 1)
			str_add(unsure, "several foreign keys lead to the subject; ");
		return;
	}
	if (draft->inherits_from >= 0) {
		add_fk_paths(d, draft->inherits_from);
		str_add(unsure, "owner path of the parent table; ");
	} else if (draft->reference >= 0) {
		name_add(&path, t->columns[draft->reference].name);
		str_addf(&path, " -> %s", d->catalog->tables[d->subject].full);
		if (draft->kind >= 0) {
			str_add(&path, " when ");
			name_add(&path, t->columns[draft->kind].name);
			str_addf(&path, " = '%s'", d->catalog->tables[d->subject].name);
		}
		add_setting(d->out, "owner", path.s);
		str_add(unsure, "no foreign key, owner by the column's name; ");
	} else if (draft->link >= 0) {
		const struct cat_fk *fk = &d->catalog->fks[draft->link];

		add_names(&path, t, fk->target_columns, 1);
		str_addf(&path, " <- %s(", d->catalog->tables[fk->table].full);
		add_names(&path, &d->catalog->tables[fk->table], fk->columns, 1);
		str_add(&path, ")");
		add_setting(d->out, "owner", path.s);
		str_add(unsure, "a link table names it: shared, or a code list; ");
	}
}

static void
add_columns(struct drafter *d, int table)
{
	const struct cat_table *t = &d->catalog->tables[table];
	const struct draft *draft = &d->drafts[table];
	bool near = table == d->subject || draft->distance == 1 || draft->logged == d->subject;
	size_t n = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		bool identifying = near && guess_is_identifying(&t->columns[i]), lo = guess_is_large_object(&t->columns[i]);

		if (!identifying && !lo)
			continue;
		str_addf(d->out, "%s{", n++ == 0 ? "\n    columns = ( # unsure: by names and types\n      " : ",\n      ");
		add_setting(d->out, "column", t->columns[i].name);
		str_addf(d->out, "%s%s }", identifying ? " identifying = true;" : "", lo ? " lo = true;" : "");
	}
	str_add(d->out, n > 0 ? " );" : "");
}

static void
add_mentions(struct drafter *d, int table)
{
	const struct cat_table *t = &d->catalog->tables[table];
	size_t n = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		if (!guess_is_free_text(&t->columns[i]))
			continue;
		str_add(d->out, n++ == 0 ? " mentions = [ " : ", ");
		add_text(d->out, t->columns[i].name);
	}
	str_add(d->out, n > 0 ? " ];" : "");
}

/* Files would stay behind their rows. */
static void
add_file_names(struct drafter *d, int table)
{
	const struct cat_table *t = &d->catalog->tables[table];

	for (size_t i = 0; i < t->n_columns; i++) {
		if (!guess_is_file_name(&t->columns[i]))
			continue;
		str_add(d->out, "  # unsure: by its name ");
		str_add_visible(d->out, t->columns[i].name);
		str_add(d->out, " holds paths of files, which stay behind their rows: documents = \"KIND\" (doc/map.md) takes them along\n");
	}
}

/* Rules and triggers are listed, not acknowledged: that is for a person who has read them. Their names
 * stand in comments, which nobody's line feed ends and no bidirectional character rearranges. */
static void
add_code(struct drafter *d, int table)
{
	const struct catalog *catalog = d->catalog;

	for (size_t i = 0; i < catalog->n_rules; i++) {
		const struct cat_rule *r = &catalog->rules[i];

		if (r->table != table || r->event != '4')
			continue;
		str_add(d->out, "  # unsure: read DELETE rule ");
		str_add_visible(d->out, r->name);
		str_addf(d->out, "%s, then acknowledge it or disable it\n", r->instead ? " (INSTEAD)" : "");
	}
	for (size_t i = 0; i < catalog->n_triggers; i++) {
		const struct cat_trigger *t = &catalog->triggers[i];

		if (t->table != table || (!t->on_delete && !t->deferrable))
			continue;
		str_add(d->out, "  # unsure: read trigger ");
		str_add_visible(d->out, t->name);
		str_add(d->out, " (");
		str_add_visible(d->out, t->function);
		str_addf(d->out, ")%s, then acknowledge it\n", t->deferrable ? ", which may be deferred" : "");
	}
}

static void
add_reason(struct drafter *d, int table, struct str *unsure)
{
	if (d->catalog->tables[table].kind == 'm')
		add_setting(d->out, "reason", "materialized view: refreshed after each night");
	else if (d->catalog->tables[table].kind == 'f')
		add_setting(d->out, "reason", "foreign table: its rows are erased where they live");
	else if (d->drafts[table].action == MAP_REFERENCE) {
		add_setting(d->out, "reason", "no way to a subject found");
		str_add(unsure, "no foreign key and no name leads to the subject; ");
	} else if (table != d->tenant)
		str_add(unsure, "staff or tenant by names; ");
}

static void
write_table(struct drafter *d, int table, bool is_last)
{
	const struct cat_table *t = &d->catalog->tables[table];
	const struct draft *draft = &d->drafts[table];
	CLEANUP(str_release) struct str unsure = STR_INIT;
	bool is_owned = map_action_is_owned(draft->action);
	int created = guess_created(t);

	if (is_owned) {
		add_code(d, table);
		add_file_names(d, table);
	}
	str_add(d->out, "  {");
	add_setting(d->out, "table", t->full);
	if (draft->logged >= 0) {
		add_setting(d->out, "log_of", d->catalog->tables[draft->logged].full);
		str_add(&unsure, "a log by its name; ");
	} else
		add_owner(d, table, &unsure);
	add_setting(d->out, "action", map_action_text(draft->action));
	if (!is_owned)
		add_reason(d, table, &unsure);
	if (is_owned && guess_class(t) != NULL) {
		add_setting(d->out, "class", guess_class(t));
		str_add(&unsure, "law may want it retained; ");
	}
	if (is_owned && created >= 0 && draft->logged < 0) {
		add_setting(d->out, "created", t->columns[created].name);
		str_addf(&unsure, "created by name; ");
	}
	if (is_owned) {
		add_mentions(d, table);
		add_columns(d, table);
	}
	str_addf(d->out, " }%s", is_last ? "" : ",");
	if (unsure.len > 2) {
		unsure.s[unsure.len - 2] = '\0'; /* the last "; " */
		str_addf(d->out, " # unsure: %s", unsure.s);
	}
	str_add(d->out, "\n");
}

/* The column of the subject's table that names its tenant. */
static const char *
subject_tenant(const struct drafter *d)
{
	const struct cat_table *s = &d->catalog->tables[d->subject];
	int column;

	for (size_t i = 0; i < d->catalog->n_fks; i++) {
		const struct cat_fk *fk = &d->catalog->fks[i];

		if (fk->table == d->subject && fk->target == d->tenant && fk->n_columns == 1)
			return s->columns[fk->columns[0]].name;
	}
	column = guess_reference(s, &d->catalog->tables[d->tenant]);
	return column >= 0 ? s->columns[column].name : "to be named";
}

static void
write_head(struct drafter *d, bool subject_is_guess, bool tenant_is_guess)
{
	const struct cat_table *s = &d->catalog->tables[d->subject];
	int created = guess_created(s);
	bool deferrable = false;

	str_add(d->out, "# Drafted by `expunge map discover`. Settle every line that says unsure, then run `expunge map check`.\n\n");
	if (d->tenant >= 0) {
		const struct cat_table *t = &d->catalog->tables[d->tenant];

		str_add(d->out, "tenant : {");
		add_setting(d->out, "table", t->full);
		add_setting(d->out, "key", t->n_key == 1 ? t->columns[t->key[0]].name : "id");
		str_addf(d->out, " };%s\n", tenant_is_guess ? " # unsure: by its name" : "");
	} else
		str_add(d->out, "tenant : { constant = \"the-practice\"; }; # unsure: no table of tenants found\n");
	str_add(d->out, "subject : {");
	add_setting(d->out, "table", s->full);
	add_setting(d->out, "key", s->columns[s->key[0]].name);
	if (d->tenant >= 0)
		add_setting(d->out, "tenant", subject_tenant(d));
	for (size_t i = 0; i < d->catalog->n_fks; i++) {
		const struct cat_fk *fk = &d->catalog->fks[i];

		if (fk->table == d->subject && fk->target == d->subject && fk->n_columns == 1 &&
			strcasestr(s->columns[fk->columns[0]].name, "merge") != NULL) {
			add_setting(d->out, "merged_into", s->columns[fk->columns[0]].name);
			break;
		}
	}
	if (created >= 0)
		add_setting(d->out, "birth", s->columns[created].name);
	str_addf(d->out, " };%s\n", subject_is_guess ? " # unsure: by its name and the foreign keys to it" : "");
	for (size_t i = 0; i < d->catalog->n_triggers; i++)
		deferrable = deferrable || d->catalog->triggers[i].deferrable;
	for (size_t i = 0; i < d->catalog->n_fks; i++)
		deferrable = deferrable || d->catalog->fks[i].deferrable;
	str_add(d->out, "session : {");
	add_setting(d->out, "login", s->owner);
	str_addf(d->out, " read_write = true;%s }; # unsure: the owner of %s\n\ntables = (\n",
		deferrable ? " constraints = \"immediate\";" : "", s->full);
}

static int
find(const struct catalog *catalog, const char *name, const char *what, int *ret, struct err *err)
{
	CLEANUP(free_text) char *full = name_canonical(name);

	*ret = full == NULL ? -1 : catalog_table(catalog, full);
	if (*ret >= 0)
		return 0;
	(void)err_set(err, ERR_USAGE, "the database has no table \"%s\" for the %s", name, what);
	return err_hint(err, "name it as schema.table");
}

static int
find_ends(struct drafter *d, const char *subject_table, const char *tenant_table, struct err *err)
{
	if (subject_table != NULL) {
		if (find(d->catalog, subject_table, "subject", &d->subject, err) < 0)
			return -1;
	} else
		d->subject = guess_subject(d->catalog);
	if (d->subject < 0) {
		(void)err_set(err, ERR_USAGE, "no table looks like the one of the data subjects");
		return err_hint(err, "name it: expunge map discover --subject schema.table");
	}
	if (d->catalog->tables[d->subject].n_key != 1)
		return err_set(err, ERR_USAGE, "the subject's table %s needs a key of one column",
			d->catalog->tables[d->subject].full);
	if (tenant_table != NULL)
		return find(d->catalog, tenant_table, "tenant", &d->tenant, err);
	d->tenant = guess_tenant(d->catalog, d->subject);
	return 0;
}

int
map_discover(struct str *ret, const struct catalog *catalog, const char *subject_table,
	const char *tenant_table, struct err *err)
{
	struct drafter d = { catalog, NULL, -1, -1, ret };
	size_t last = 0;

	if (find_ends(&d, subject_table, tenant_table, err) < 0)
		return -1;
	d.drafts = mem_zero(catalog->n_tables, sizeof(*d.drafts));
	for (size_t i = 0; i < catalog->n_tables; i++)
		d.drafts[i] = (struct draft){ -1, -1, -1, -1, -1, -1, MAP_REFERENCE };
	measure(&d);
	for (size_t i = 0; i < catalog->n_tables; i++)
		decide(&d, (int)i);
	settle_logs(&d);
	write_head(&d, subject_table == NULL, tenant_table == NULL);
	for (size_t i = 0; i < catalog->n_tables; i++)
		if (catalog->tables[i].root < 0)
			last = i;
	for (size_t i = 0; i < catalog->n_tables; i++)
		if (catalog->tables[i].root < 0)
			write_table(&d, (int)i, i == last);
	str_add(ret, ");\n");
	free(d.drafts);
	return 0;
}
