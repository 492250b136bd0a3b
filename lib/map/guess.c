#include "map/guess.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
has_word(const char *name, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasestr(name, *words) != NULL)
			return true;
	return false;
}

/* The word itself, or its plural. */
static bool
is_word(const char *name, const char *const *words)
{
	for (; *words != NULL; words++) {
		size_t n = strlen(*words);

		if (strncasecmp(name, *words, n) == 0 && (name[n] == '\0' || strcasecmp(name + n, "s") == 0))
			return true;
	}
	return false;
}

static size_t
references_to(const struct catalog *catalog, int table)
{
	size_t n = 0;

	for (size_t i = 0; i < catalog->n_fks; i++)
		n += catalog->fks[i].target == table && catalog->fks[i].table != table;
	return n;
}

int
guess_subject(const struct catalog *catalog)
{
	static const char *const names[] = { "patient", "person", "client", "customer", "subject", "identity", "member", NULL };
	size_t best_score = 0;
	int best = -1;

	for (size_t i = 0; i < catalog->n_tables; i++) {
		size_t score = is_word(catalog->tables[i].name, names) ? 1 + references_to(catalog, (int)i) : 0;

		if (score > best_score && catalog->tables[i].n_key == 1) {
			best_score = score;
			best = (int)i;
		}
	}
	return best;
}

int
guess_tenant(const struct catalog *catalog, int subject)
{
	static const char *const names[] = { "practice", "tenant", "organisation", "organization", "clinic", "account",
		"company", "site", NULL };

	for (size_t i = 0; i < catalog->n_fks; i++) {
		const struct cat_fk *fk = &catalog->fks[i];

		if (fk->table == subject && fk->target != subject && fk->n_columns == 1 &&
			is_word(catalog->tables[fk->target].name, names))
			return fk->target;
	}
	return -1;
}

bool
guess_is_staff(const struct cat_table *table)
{
	static const char *const names[] = { "staff", "user", "employee", "doctor", "provider", "practitioner", NULL };

	return is_word(table->name, names);
}

static bool
copies_key(const struct cat_table *log, const struct cat_table *of)
{
	for (size_t i = 0; i < of->n_key; i++)
		if (catalog_column(log, of->columns[of->key[i]].name) < 0)
			return false;
	return of->n_key > 0;
}

/* log_note, note_log, note_history, audit.note are logs of note. */
int
guess_logged(const struct catalog *catalog, int table)
{
	static const char *const forms[] = { "log_%s", "%s_log", "%s_history", "%s_hist", "audit_%s", "%s_audit",
		"%s_versions", NULL };
	static const char *const schemas[] = { "audit", "log", "history", NULL };
	const struct cat_table *log = &catalog->tables[table];

	for (size_t i = 0; i < catalog->n_tables; i++) {
		const struct cat_table *of = &catalog->tables[i];
		bool is_match = strcmp(log->name, of->name) == 0 && has_word(log->schema, schemas) &&
			!has_word(of->schema, schemas);

		if ((int)i == table || of->root >= 0 || !copies_key(log, of))
			continue;
		for (size_t k = 0; forms[k] != NULL && !is_match; k++) {
			const char *star = strstr(forms[k], "%s");
			size_t before = (size_t)(star - forms[k]), n = strlen(of->name);

			is_match = strncmp(log->name, forms[k], before) == 0 &&
				strncmp(log->name + before, of->name, n) == 0 &&
				strcmp(log->name + before + n, star + 2) == 0;
		}
		if (is_match)
			return (int)i;
	}
	return -1;
}

int
guess_created(const struct cat_table *table)
{
	static const char *const names[] = { "created_at", "created_on", "created", "creation_date", "date_created",
		"inserted_at", "createdat", "booked_at", "issued_at", "sent_at", "modified_when", NULL };

	for (size_t k = 0; names[k] != NULL; k++)
		for (size_t i = 0; i < table->n_columns; i++)
			if (table->columns[i].category == 'D' && strcasecmp(table->columns[i].name, names[k]) == 0)
				return (int)i;
	return -1;
}

/* patient_id, id_patient, fk_patient, pk_patient, patient for app.patient or app.patients. */
int
guess_reference(const struct cat_table *table, const struct cat_table *subject)
{
	size_t n = strlen(subject->name);

	if (n > 1 && tolower((unsigned char)subject->name[n - 1]) == 's')
		n--;
	for (size_t i = 0; i < table->n_columns; i++) {
		const char *name = table->columns[i].name, *found = strcasestr(name, "_");
		bool is_match = strncasecmp(name, subject->name, n) == 0 &&
			(name[n] == '\0' || strcasecmp(name + n, "_id") == 0 || strcasecmp(name + n, "id") == 0);

		if (!is_match && found != NULL && (size_t)(found - name) <= 2 && found != name)
			is_match = strncasecmp(found + 1, subject->name, n) == 0 && found[1 + n] == '\0';
		if (is_match && table->columns[i].element == NULL)
			return (int)i;
	}
	return -1;
}

int
guess_polymorphic(const struct cat_table *table, int *ret_type)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const char *name = table->columns[i].name, *end = strstr(name, "_type");

		if (end == NULL || end[5] != '\0')
			continue;
		for (size_t k = 0; k < table->n_columns; k++)
			if (strncmp(table->columns[k].name, name, (size_t)(end - name)) == 0 &&
				strcmp(table->columns[k].name + (end - name), "_id") == 0) {
				*ret_type = (int)i;
				return (int)k;
			}
	}
	return -1;
}

bool
guess_is_identifying(const struct cat_column *column)
{
	static const char *const words[] = { "surname", "family_name", "last_name", "lastname", "lastnames", "full_name",
		"display_name", "email", "e_mail", "phone", "mobile", "nhs_number", "nhs_no", "ssn", "passport", "street",
		"postcode", "insurance_n", NULL };

	return (column->category == 'S' || column->category == 'N') && has_word(column->name, words);
}

bool
guess_is_large_object(const struct cat_column *column)
{
	const char *dot = strrchr(column->type, '.');

	return strcmp(column->type, "oid") == 0 || strcmp(dot == NULL ? column->type : dot + 1, "lo") == 0;
}

/* A word of the name, not a part of one: a profile is no file. */
bool
guess_is_file_name(const struct cat_column *column)
{
	static const char *const words[] = { "file", "filename", "filepath", "path", "attachment", "document", "scan", NULL };

	if (column->category != 'S' || column->generated)
		return false;
	for (const char *at = column->name; *at != '\0'; at += strcspn(at, "_ "), at += strspn(at, "_ ")) {
		char word[32];
		size_t n = strcspn(at, "_ ");

		if (n >= sizeof(word))
			continue;
		(void)memcpy(word, at, n);
		word[n] = '\0';
		if (is_word(word, words))
			return true;
	}
	return false;
}

bool
guess_is_free_text(const struct cat_column *column)
{
	static const char *const names[] = { "body", "comment", "note", "narrative", "text", "message", "description",
		"subject", "remark", "remarks", NULL };

	return column->category == 'S' && !column->generated && is_word(column->name, names);
}

const char *
guess_class(const struct cat_table *table)
{
	static const char *const financial[] = { "invoice", "bill", "payment", "receipt", NULL };

	return has_word(table->name, financial) ? "financial" : NULL;
}
