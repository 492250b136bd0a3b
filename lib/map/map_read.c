/* The reader of data maps: from a tree of settings to struct map, all problems at once. Pure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "map/map.h"
#include "map/name.h"
#include "svc/config.h"
#include "svc/crypt.h"

#define EXTERNAL_TIMEOUT_SECONDS 60

struct reader {
	struct map *map;
	struct str *problems;
	size_t n_problems;
};

/*
 * The members of each kind of group, as data: an unknown member is an error, because a misspelt
 * `mask` that is passed over would leave a name in place.
 */
enum field_kind {
	FIELD_TEXT,        /* char * */
	FIELD_TABLE,       /* char *, canonical */
	FIELD_BOOL,        /* bool */
	FIELD_SECONDS,     /* int64_t */
	FIELD_NAMES,       /* struct map_names, a text or a list of texts */
	FIELD_TABLES,      /* the same, canonical table names */
	FIELD_ACTION,      /* enum map_action */
	FIELD_PATHS,       /* of struct map_table */
	FIELD_COLUMNS,     /* of struct map_table */
	FIELD_CONSTRAINTS, /* of struct map */
	FIELD_DISABLE,     /* of struct map */
	FIELD_CONTACT      /* of struct map */
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
};

#define MAP_FIELD(member) offsetof(struct map, member)
#define TABLE_FIELD(member) offsetof(struct map_table, member)
#define COLUMN_FIELD(member) offsetof(struct map_column, member)
#define DISABLE_FIELD(member) offsetof(struct map_disable, member)
#define EXTERNAL_FIELD(member) offsetof(struct map_external, member)
#define CONTACT_FIELD(member) offsetof(struct map_contact, member)

static const struct field tenant_fields[] = {
	{ "table", FIELD_TABLE, MAP_FIELD(tenant_table) },
	{ "key", FIELD_TEXT, MAP_FIELD(tenant_key) },
	{ "constant", FIELD_TEXT, MAP_FIELD(tenant_constant) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field subject_fields[] = {
	{ "table", FIELD_TABLE, MAP_FIELD(subject_table) },
	{ "key", FIELD_TEXT, MAP_FIELD(subject_key) },
	{ "tenant", FIELD_TEXT, MAP_FIELD(subject_tenant) },
	{ "merged_into", FIELD_TEXT, MAP_FIELD(subject_merged_into) },
	{ "birth", FIELD_NAMES, MAP_FIELD(subject_birth) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field session_fields[] = {
	{ "login", FIELD_TEXT, MAP_FIELD(login) },
	{ "read_write", FIELD_BOOL, MAP_FIELD(read_write) },
	{ "constraints", FIELD_CONSTRAINTS, 0 },
	{ "search_path", FIELD_NAMES, MAP_FIELD(search_path) },
	{ "acknowledge", FIELD_NAMES, MAP_FIELD(acknowledge) },
	{ "disable", FIELD_DISABLE, 0 },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field table_fields[] = {
	{ "table", FIELD_TABLE, TABLE_FIELD(name) },
	{ "action", FIELD_ACTION, TABLE_FIELD(action) },
	{ "owner", FIELD_PATHS, 0 },
	{ "class", FIELD_TEXT, TABLE_FIELD(class) },
	{ "reason", FIELD_TEXT, TABLE_FIELD(reason) },
	{ "created", FIELD_TEXT, TABLE_FIELD(created) },
	{ "key", FIELD_NAMES, TABLE_FIELD(key) },
	{ "columns", FIELD_COLUMNS, 0 },
	{ "before", FIELD_TABLES, TABLE_FIELD(before) },
	{ "after", FIELD_TABLES, TABLE_FIELD(after) },
	{ "creates", FIELD_TABLES, TABLE_FIELD(creates) },
	{ "log_of", FIELD_TABLE, TABLE_FIELD(log_of) },
	{ "log_key", FIELD_NAMES, TABLE_FIELD(log_key) },
	{ "mentions", FIELD_NAMES, TABLE_FIELD(mentions) },
	{ "acknowledge", FIELD_NAMES, TABLE_FIELD(acknowledge) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field column_fields[] = {
	{ "column", FIELD_TEXT, COLUMN_FIELD(name) },
	{ "mask", FIELD_TEXT, COLUMN_FIELD(mask) },
	{ "identifying", FIELD_BOOL, COLUMN_FIELD(identifying) },
	{ "lo", FIELD_BOOL, COLUMN_FIELD(lo) },
	{ "documents", FIELD_TEXT, COLUMN_FIELD(documents) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field disable_fields[] = {
	{ "table", FIELD_TABLE, DISABLE_FIELD(table) },
	{ "rule", FIELD_TEXT, DISABLE_FIELD(rule) },
	{ "trigger", FIELD_TEXT, DISABLE_FIELD(trigger) },
	{ "reason", FIELD_TEXT, DISABLE_FIELD(reason) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field external_fields[] = {
	{ "name", FIELD_TEXT, EXTERNAL_FIELD(name) },
	{ "owner", FIELD_TEXT, EXTERNAL_FIELD(owner) },
	{ "command", FIELD_NAMES, EXTERNAL_FIELD(command) },
	{ "account", FIELD_NAMES, EXTERNAL_FIELD(account) },
	{ "timeout_seconds", FIELD_SECONDS, EXTERNAL_FIELD(timeout_seconds) },
	{ NULL, FIELD_TEXT, 0 },
};

static const struct field support_fields[] = {
	{ "contact", FIELD_CONTACT, 0 },
	{ "harmless", FIELD_TABLES, MAP_FIELD(harmless) },
	{ NULL, FIELD_TEXT, 0 },
};
static const struct field contact_fields[] = {
	{ "table", FIELD_TABLE, CONTACT_FIELD(name) },
	{ "by", FIELD_TEXT, CONTACT_FIELD(by) },
	{ NULL, FIELD_TEXT, 0 },
};

static void __attribute__((format(printf, 3, 4)))
problem(struct reader *r, int line, const char *fmt, ...)
{
	va_list ap;
	char text[1300];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->n_problems++;
	if (r->problems != NULL)
		str_addf(r->problems, "%s:%d: %s\n", r->map->path, line, text);
}

/* A name as the server can have one, or another short line. NULL after a problem. */
static const char *
read_text(struct reader *r, const struct conf_node *node, const char *what)
{
	const char *text = conf_text(node);

	if (text == NULL) {
		problem(r, conf_line(node), "%s must be a text in double quotes", what);
		return NULL;
	}
	if (!parse_is_plain_text(text, 2000)) {
		problem(r, conf_line(node), "%s is empty, too long, or holds control or bidirectional characters", what);
		return NULL;
	}
	return text;
}

static char *
read_table_name(struct reader *r, const struct conf_node *node, const char *what)
{
	const char *text = read_text(r, node, what);
	char *name = text == NULL ? NULL : name_canonical(text);

	if (text != NULL && name == NULL)
		problem(r, conf_line(node), "%s \"%s\" is not schema.table (quote odd parts: \"\\\"odd name\\\".t\")", what, text);
	return name;
}

static void
read_names(struct reader *r, const struct conf_node *node, const char *what, bool tables, struct map_names *ret)
{
	bool is_list = conf_type(node) == CONF_LIST;
	size_t n = is_list ? conf_count(node) : 1;

	for (size_t i = 0; i < n; i++) {
		const struct conf_node *item = is_list ? conf_at(node, i) : node;
		char *name = tables ? read_table_name(r, item, what) : mem_copy(read_text(r, item, what));

		if (name != NULL)
			*MEM_PUSH(ret->names, ret->n) = name;
	}
}

static void read_group(struct reader *r, const struct conf_node *node, const char *what,
	const struct field *fields, void *base);

static void
read_action(struct reader *r, const struct conf_node *node, enum map_action *ret)
{
	const char *text = conf_text(node);

	for (int i = MAP_DELETE; text != NULL && i <= MAP_NONE; i++)
		if (strcmp(text, map_action_text((enum map_action)i)) == 0) {
			*ret = (enum map_action)i;
			return;
		}
	problem(r, conf_line(node), "action must be delete, mask, tombstone, retain, shared, tenant, reference or none");
}

static void
read_paths(struct reader *r, const struct conf_node *node, struct map_table *table)
{
	bool is_list = conf_type(node) == CONF_LIST;
	size_t n = is_list ? conf_count(node) : 1;

	for (size_t i = 0; i < n; i++) {
		const struct conf_node *item = is_list ? conf_at(node, i) : node;
		const char *text = read_text(r, item, "owner");
		struct map_path path;
		struct err err = { .code = ERR_NONE };

		if (text == NULL)
			continue;
		if (map_path_parse(&path, text, &err) < 0)
			problem(r, conf_line(item), "%s; %s", err.msg, err.hint);
		else
			*MEM_PUSH(table->paths, table->n_paths) = path;
	}
}

/* The groups of a list; NULL after a problem. */
static const struct conf_node *
list_of_groups(struct reader *r, const struct conf_node *node, const char *what)
{
	if (conf_type(node) != CONF_LIST) {
		problem(r, conf_line(node), "%s must be a list of groups: ( { ... }, { ... } )", what);
		return NULL;
	}
	return node;
}

static void
read_columns(struct reader *r, const struct conf_node *node, struct map_table *table)
{
	const struct conf_node *list = list_of_groups(r, node, "columns");

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		struct map_column *column = MEM_PUSH(table->columns, table->n_columns);

		column->line = conf_line(conf_at(list, i));
		column->column = -1;
		read_group(r, conf_at(list, i), "a line of columns", column_fields, column);
		if (column->name == NULL) {
			problem(r, column->line, "a line of columns needs column = \"...\"");
			column->name = mem_copy("");
		}
		if (column->documents != NULL && !parse_is_kind(column->documents))
			problem(r, column->line, "documents must be a word of 1 to 40 small letters, digits, \"-\" or \"_\", which the "
				"configuration gives a directory");
		for (size_t k = 0; k + 1 < table->n_columns; k++)
			if (*column->name != '\0' && strcmp(table->columns[k].name, column->name) == 0)
				problem(r, column->line, "column %s was given in line %d", column->name, table->columns[k].line);
	}
}

static void
read_disable(struct reader *r, const struct conf_node *node)
{
	const struct conf_node *list = list_of_groups(r, node, "disable");
	struct map *map = r->map;

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		struct map_disable *disable = MEM_PUSH(map->disable, map->n_disable);

		disable->line = conf_line(conf_at(list, i));
		disable->cat = -1;
		read_group(r, conf_at(list, i), "a line of disable", disable_fields, disable);
		if (disable->table == NULL || disable->reason == NULL ||
			(disable->rule == NULL) == (disable->trigger == NULL))
			problem(r, disable->line, "a line of disable needs table, rule or trigger (one of them), and reason");
	}
}

static void
read_contacts(struct reader *r, const struct conf_node *node)
{
	const struct conf_node *list = list_of_groups(r, node, "contact");
	struct map *map = r->map;

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		struct map_contact *contact = MEM_PUSH(map->contacts, map->n_contacts);

		contact->line = conf_line(conf_at(list, i));
		contact->table = contact->by_column = -1;
		read_group(r, conf_at(list, i), "a line of contact", contact_fields, contact);
		if (contact->name == NULL)
			problem(r, contact->line, "a line of contact needs table = \"schema.table\"");
	}
}

static void
read_constraints(struct reader *r, const struct conf_node *node)
{
	const char *text = conf_text(node);

	if (conf_type(node) == CONF_LIST)
		read_names(r, node, "constraints", true, &r->map->constraints);
	else if (text != NULL && strcmp(text, "immediate") == 0)
		r->map->constraints_immediate = true;
	else
		problem(r, conf_line(node), "constraints must be \"immediate\" or a list of schema.constraint");
}

static void
read_field(struct reader *r, const struct conf_node *node, const struct field *field, void *base)
{
	void *at = (char *)base + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		*(char **)at = mem_copy(read_text(r, node, field->name));
		break;
	case FIELD_TABLE:
		*(char **)at = read_table_name(r, node, field->name);
		break;
	case FIELD_BOOL:
		if (conf_type(node) == CONF_BOOL)
			*(bool *)at = conf_bool(node);
		else
			problem(r, conf_line(node), "%s must be true or false", field->name);
		break;
	case FIELD_SECONDS:
		*(int64_t *)at = conf_int(node);
		if (conf_type(node) != CONF_INT || conf_int(node) < 1 || conf_int(node) > 3600)
			problem(r, conf_line(node), "%s must be a whole number between 1 and 3600", field->name);
		break;
	case FIELD_NAMES:
	case FIELD_TABLES:
		read_names(r, node, field->name, field->kind == FIELD_TABLES, at);
		break;
	case FIELD_ACTION:
		read_action(r, node, at);
		break;
	case FIELD_PATHS:
		read_paths(r, node, base);
		break;
	case FIELD_COLUMNS:
		read_columns(r, node, base);
		break;
	case FIELD_CONSTRAINTS:
		read_constraints(r, node);
		break;
	case FIELD_DISABLE:
		read_disable(r, node);
		break;
	case FIELD_CONTACT:
		read_contacts(r, node);
		break;
	}
}

static void
read_group(struct reader *r, const struct conf_node *node, const char *what, const struct field *fields, void *base)
{
	if (conf_type(node) != CONF_GROUP) {
		problem(r, conf_line(node), "%s must be a group: { name = value; ... }", what);
		return;
	}
	for (size_t i = 0; i < conf_count(node); i++) {
		const struct conf_node *member = conf_at(node, i);
		const struct field *field = fields;

		while (field->name != NULL && strcmp(field->name, conf_name(member)) != 0)
			field++;
		if (field->name == NULL)
			problem(r, conf_line(member), "%s has no setting \"%s\"", what, conf_name(member));
		else
			read_field(r, member, field, base);
	}
}

/* What can be said of one line without the database. */
static void
judge_table(struct reader *r, const struct conf_node *node, struct map_table *table)
{
	bool is_subject = table->name != NULL && r->map->subject_table != NULL &&
		strcmp(table->name, r->map->subject_table) == 0;
	bool has_action = conf_member(node, "action") != NULL;

	if (table->name == NULL) {
		problem(r, table->line, "a line of tables needs table = \"schema.table\"");
		return;
	}
	if (table->class == NULL)
		table->class = mem_copy("");
	if (!has_action && table->log_of == NULL)
		problem(r, table->line, "%s needs an action", table->name);
	if (table->log_of != NULL && table->action != MAP_DELETE)
		problem(r, table->line, "%s is a log (log_of): its action is delete", table->name);
	if (table->log_of == NULL && table->log_key.n > 0)
		problem(r, table->line, "%s has log_key but no log_of", table->name);
	if (is_subject && (!map_action_is_owned(table->action) || table->action == MAP_SHARED))
		problem(r, table->line, "%s is the subject's table: action %s cannot be", table->name,
			map_action_text(table->action));
	if (map_action_is_owned(table->action) && table->n_paths == 0 && table->log_of == NULL && !is_subject &&
		conf_member(node, "owner") == NULL)
		problem(r, table->line, "%s has action %s and needs an owner path, or another action", table->name,
			map_action_text(table->action));
	if ((table->action == MAP_REFERENCE || table->action == MAP_NONE) && table->n_paths > 0)
		problem(r, table->line, "%s has action %s: such rows have no owner, take the path away or change the action",
			table->name, map_action_text(table->action));
	if (table->action == MAP_NONE && table->reason == NULL)
		problem(r, table->line, "%s has action none and needs a reason", table->name);
}

static void
read_tables(struct reader *r, const struct conf_node *node)
{
	const struct conf_node *list = list_of_groups(r, node, "tables");
	struct map *map = r->map;

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		struct map_table *table = MEM_PUSH(map->tables, map->n_tables);
		int other;

		table->line = conf_line(conf_at(list, i));
		table->cat = table->created_column = table->log_table = -1;
		read_group(r, conf_at(list, i), "a line of tables", table_fields, table);
		if (conf_type(conf_at(list, i)) == CONF_GROUP)
			judge_table(r, conf_at(list, i), table);
		if (table->name == NULL)
			table->name = mem_copy("");
		other = map_table(map, table->name);
		if (*table->name != '\0' && other >= 0 && (size_t)other + 1 < map->n_tables)
			problem(r, table->line, "%s was given in line %d", table->name, map->tables[other].line);
	}
}

/* Nothing of a command is guessed: no shell, no search along PATH, no unknown word in braces. It must say `whom` it is about,
 * and may not say `other`. */
static void
judge_command(struct reader *r, const struct map_external *e, const char *what, const struct map_names *command, const char *whom,
	const char *other)
{
	bool named = false;

	if (command->names[0][0] != '/')
		problem(r, e->line, "the %s of %s must be a list that begins with the absolute path of a program", what, e->name);
	for (size_t i = 0; i < command->n; i++) {
		CLEANUP(free_text) char *argument = map_external_argument(command->names[i], "", "", "");

		if (argument == NULL || (i == 0 && strchr(command->names[i], '{') != NULL))
			problem(r, e->line, "the %s of %s: braces hold {tenant}, {subject} or {request}, and none in the program's path", what,
				e->name);
		if (other != NULL && strstr(command->names[i], other) != NULL)
			problem(r, e->line, "the %s of %s says %s, and is about a whole account", what, e->name, other);
		named = named || strstr(command->names[i], whom) != NULL;
	}
	if (!named)
		problem(r, e->line, "the %s of %s never says %s", what, e->name, whom);
}

static void
judge_external(struct reader *r, const struct map_external *e)
{
	if (e->name == NULL || e->owner == NULL || e->command.n == 0) {
		problem(r, e->line, "a line of external needs name, owner and command");
		return;
	}
	if (!parse_is_plain_text(e->name, 100) || strchr(e->name, ':') != NULL)
		problem(r, e->line, "the name of an external store must be 1 to 100 bytes of plain text without a colon");
	judge_command(r, e, "command", &e->command, "{subject}", NULL);
	if (e->account.n > 0)
		judge_command(r, e, "account command", &e->account, "{tenant}", "{subject}");
	for (const struct map_external *other = r->map->externals; other < e; other++)
		if (other->name != NULL && strcmp(other->name, e->name) == 0)
			problem(r, e->line, "external store %s was given in line %d", e->name, other->line);
}

static void
read_externals(struct reader *r, const struct conf_node *node)
{
	const struct conf_node *list = list_of_groups(r, node, "external");
	struct map *map = r->map;

	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		struct map_external *external = MEM_PUSH(map->externals, map->n_externals);

		external->line = conf_line(conf_at(list, i));
		external->timeout_seconds = EXTERNAL_TIMEOUT_SECONDS;
		read_group(r, conf_at(list, i), "a line of external", external_fields, external);
		if (conf_type(conf_at(list, i)) == CONF_GROUP)
			judge_external(r, external);
	}
}

/* Who deletes what nobody used must know when it was made, and read the table as the nightly run does. */
static void
read_support(struct reader *r, const struct conf_node *node)
{
	struct map *map = r->map;

	map->support_line = conf_line(node);
	read_group(r, node, "support", support_fields, map);
	if (map->n_contacts == 0)
		problem(r, map->support_line, "support needs contact = ( { table = \"...\"; }, ... ): what shows that a practice has used a patient");
	if (map->login == NULL || map->subject_birth.n == 0)
		problem(r, map->support_line, "support needs session.login, and subject.birth with the time of the row's creation");
}

static void
judge_map(struct reader *r, const struct conf_node *root)
{
	const struct map *map = r->map;

	if (conf_member(root, "tenant") == NULL)
		problem(r, 1, "the map needs tenant = { table = \"...\"; key = \"...\"; } or { constant = \"...\"; }");
	else if ((map->tenant_constant == NULL) == (map->tenant_table == NULL || map->tenant_key == NULL))
		problem(r, conf_line(conf_member(root, "tenant")), "tenant needs table and key, or constant");
	if (conf_member(root, "subject") == NULL)
		problem(r, 1, "the map needs subject = { table = \"...\"; key = \"...\"; }");
	else if (map->subject_table == NULL || map->subject_key == NULL)
		problem(r, conf_line(conf_member(root, "subject")), "subject needs table and key");
	else if ((map->subject_tenant == NULL) == (map->tenant_table != NULL))
		problem(r, conf_line(conf_member(root, "subject")),
			"subject needs tenant, the column that names its tenant, if and only if tenant is a table");
	if (conf_member(root, "tables") == NULL)
		problem(r, 1, "the map needs tables = ( ... )");
	else if (map->subject_table != NULL && map_table(map, map->subject_table) < 0)
		problem(r, conf_line(conf_member(root, "tables")), "tables needs a line for %s, the subject's table",
			map->subject_table);
}

/* The subject's table must be known before the lines of tables are judged: members in this order. */
static void
read_root(struct reader *r, const struct conf_node *root)
{
	static const char *const known[] = { "tenant", "subject", "session", "tables", "external", "support" };
	static const size_t n_known = sizeof(known) / sizeof(known[0]);
	const struct conf_node *node;

	for (size_t i = 0; i < conf_count(root); i++) {
		const char *name = conf_name(conf_at(root, i));
		size_t k = 0;

		while (k < n_known && strcmp(known[k], name) != 0)
			k++;
		if (k == n_known)
			problem(r, conf_line(conf_at(root, i)), "a map has tenant, subject, session, tables, external and support, but no \"%s\"",
				name);
	}
	if ((node = conf_member(root, "tenant")) != NULL)
		read_group(r, node, "tenant", tenant_fields, r->map);
	if ((node = conf_member(root, "subject")) != NULL)
		read_group(r, node, "subject", subject_fields, r->map);
	if ((node = conf_member(root, "session")) != NULL)
		read_group(r, node, "session", session_fields, r->map);
	if ((node = conf_member(root, "tables")) != NULL)
		read_tables(r, node);
	if ((node = conf_member(root, "external")) != NULL)
		read_externals(r, node);
	if ((node = conf_member(root, "support")) != NULL)
		read_support(r, node);
	judge_map(r, root);
}

/* The hash covers one file: an @include would bring in text that nobody approved. */
static void
refuse_includes(struct reader *r, const char *text)
{
	int line = 1;

	for (const char *p = text; p != NULL && *p != '\0'; line++) {
		const char *q = p + strspn(p, " \t");

		if (strncmp(q, "@include", 8) == 0)
			problem(r, line, "@include: a map is one file");
		p = strchr(p, '\n');
		if (p != NULL)
			p++;
	}
}

int
map_read_text(struct map **ret, const char *text, const char *path, struct str *problems, struct err *err)
{
	CLEANUP(map_freep) struct map *map = mem_zero(1, sizeof(*map));
	CLEANUP(conf_freep) struct conf_document *document = NULL;
	struct reader r = { map, problems, 0 };

	map->path = mem_copy(path);
	map->subject = map->subject_key_column = map->subject_tenant_column = map->subject_merged_column = -1;
	if (crypt_sha256_text(text, strlen(text), map->hash, err) < 0)
		return -1;
	refuse_includes(&r, text);
	if (r.n_problems == 0) {
		if (conf_read_text(&document, path, text, err) < 0)
			return -1;
		read_root(&r, conf_root(document));
	}
	if (r.n_problems > 0)
		return err_set(err, ERR_USAGE, "data map %s has %zu problem%s", path, r.n_problems,
			r.n_problems == 1 ? "" : "s");
	*ret = TAKE_PTR(map);
	return 0;
}
