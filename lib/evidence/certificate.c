#include "evidence/certificate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "evidence/certificate_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char certificate_statement[] =
	"As of the time and log position named in as-of, the rows counted under live had been removed, "
	"masked or retained as stated, and a recount independent of the removal found what the after "
	"counts say. Nothing is said of what is listed under out-of-scope; stores named under archives "
	"may hold copies of the rows until the dates given there, and each line says on whose word its "
	"date rests; level says how far below the live tables the removal reached.";

static const char *const standard_scope[] = {
	("copies made before the removal and not declared to this tool: physical backups, standbys, "
	 "write-ahead log, exports"),
	"server logs, monitoring and statistics outside the database",
	"storage below the database: file system snapshots, disk blocks not yet written over",
	"paper, e-mail and documents outside the database",
};
/* the last of them where live counts files */
static const char documents_scope[] = "paper, e-mail and documents outside the database that live does not count";

const char certificate_token_scope[] = "copies of its keys that a hardware token or its maker's backup has made";

static const char *const kinds[] = { NULL, "subject-erasure", "account-closure",
	"retention-disposal", "backup-expiry", "test-subject" };
static const char *const stages[] = { NULL, "interim", "final" };
static const char *const outcomes[] = { NULL, "completed", "completed-with-exclusions" };
static const char *const levels[] = { NULL, "logical", "vacuumed", "keys-destroyed", "aged-out" };
static const char *const results[] = { NULL, "pass", "not-run" };
static const char *const bases[] = { NULL, "declared", "reported", "stated" };

#define TEXT_OF(table, value) ((size_t)(value) < COUNT(table) ? (table)[(value)] : NULL)

const char *
certificate_kind_text(enum certificate_kind kind)
{
	return TEXT_OF(kinds, kind);
}

const char *
certificate_stage_text(enum certificate_stage stage)
{
	return TEXT_OF(stages, stage);
}

const char *
certificate_outcome_text(enum certificate_outcome outcome)
{
	return TEXT_OF(outcomes, outcome);
}

const char *
certificate_level_text(enum certificate_level level)
{
	return TEXT_OF(levels, level);
}

const char *
certificate_check_text(enum certificate_check_result result)
{
	return TEXT_OF(results, result);
}

const char *
certificate_basis_text(enum certificate_basis basis)
{
	return TEXT_OF(bases, basis);
}

const char *
certificate_standard_scope(size_t i, bool counts_documents)
{
	if (i + 1 == COUNT(standard_scope) && counts_documents)
		return documents_scope;
	return i < COUNT(standard_scope) ? standard_scope[i] : NULL;
}

#define MENTION_HEAD "free text in "
#define MENTION_TAIL " names the subject without a key: "
#define MENTION_ROWS " rows"

void
certificate_add_mention(struct str *text, const char *column, int64_t n_rows)
{
	str_add(text, MENTION_HEAD);
	certificate_add_name(text, column);
	str_addf(text, MENTION_TAIL "%" PRId64 MENTION_ROWS, n_rows);
}

static bool
is_mention(const char *text)
{
	const char *name = text + strlen(MENTION_HEAD), *number;

	if (strncmp(text, MENTION_HEAD, strlen(MENTION_HEAD)) != 0)
		return false;
	number = name + strcspn(name, " ");
	if (strncmp(number, MENTION_TAIL, strlen(MENTION_TAIL)) != 0)
		return false;
	number += strlen(MENTION_TAIL);
	return strcmp(number + strspn(number, "0123456789"), MENTION_ROWS) == 0;
}

bool
certificate_scope_is_fixed(const char *text)
{
	for (size_t i = 0; i < COUNT(standard_scope); i++)
		if (strcmp(text, standard_scope[i]) == 0)
			return true;
	return strcmp(text, documents_scope) == 0 || strcmp(text, certificate_token_scope) == 0 || is_mention(text);
}

static void
free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

static void
free_stores(struct certificate_store *stores, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(stores[i].name);
		free(stores[i].until);
	}
	free(stores);
}

static void
release_lists(struct certificate *c)
{
	for (size_t i = 0; i < c->n_approvers; i++) {
		free(c->approvers[i].role);
		free(c->approvers[i].key_check);
	}
	for (size_t i = 0; i < c->n_live; i++)
		free(c->live[i].table);
	for (size_t i = 0; i < c->n_retained; i++) {
		free(c->retained[i].class);
		free(c->retained[i].basis);
		free(c->retained[i].until);
	}
	for (size_t i = 0; i < c->n_undeclared; i++)
		free(c->undeclared[i].kind);
	free_stores(c->residuals, c->n_residuals);
	free_stores(c->aged_out, c->n_aged_out);
	free(c->undeclared);
	free(c->approvers);
	free(c->live);
	free(c->retained);
	free_texts(c->keys.fingerprints, c->keys.n_fingerprints);
	free_texts(c->keys.drivers, c->keys.n_drivers);
	free_texts(c->out_of_scope, c->n_out_of_scope);
}

void
certificate_release(struct certificate *c)
{
	char *const texts[] = { c->id, c->controller, c->processor, c->subject_ref, c->ground,
		c->received, c->identified, c->due, c->decided, c->cooling_off_from,
		c->cooling_off_until, c->executed, c->zone, c->plan, c->holds_at, c->as_of,
		c->as_of_lsn, c->tool.version, c->tool.commit, c->tool.program, c->tool.openssl,
		c->tool.config, c->tool.map };

	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	release_lists(c);
	*c = (struct certificate)CERTIFICATE_INIT;
}

static int
by_table(const void *a, const void *b)
{
	const struct certificate_live *x = a, *y = b;

	return strcmp(x->table, y->table);
}

void
certificate_sort(struct certificate *c)
{
	if (c->n_live > 0)
		qsort(c->live, c->n_live, sizeof(*c->live), by_table);
}

void
certificate_file_name(int64_t serial, const char *id, char *name)
{
	(void)snprintf(name, CERTIFICATE_FILE_NAME_SIZE, "%08" PRId64 "-%.32s.note", serial, id);
}

char *
certificate_ground(const char *request_ground)
{
	if (strlen(request_ground) != 6 || strncmp(request_ground, "17-1-", 5) != 0 ||
	    request_ground[5] < 'a' || request_ground[5] > 'g')
		return NULL;
	return mem_printf("UK-GDPR-17(1)(%c)", request_ground[5]);
}

char *
certificate_openssl_version(const char *version)
{
	const char *number = strncmp(version, "OpenSSL ", 8) == 0 ? version + 8 : version;

	return mem_copy_n(number, strcspn(number, " "));
}

/* the length of the UTF-8 character at p, which is well-formed (checked fields) or a single byte */
static size_t
char_length(const char *p)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strnlen(p, len);
}

void
certificate_add_name(struct str *text, const char *name)
{
	while (*name != '\0') {
		char one[5] = "";
		size_t len = char_length(name);

		(void)memcpy(one, name, len);
		if (one[0] != ' ' && one[0] != '%' && parse_is_plain_text(one, 4))
			str_add_n(text, one, len);
		else
			for (size_t i = 0; i < len; i++)
				str_addf(text, "%%%02X", (unsigned int)(unsigned char)one[i]);
		name += len;
	}
}

static void
add_line(struct str *text, const char *key, const char *value)
{
	if (value != NULL)
		str_addf(text, "%s: %s\n", key, value);
}

static void
add_ground(struct str *text, const char *ground)
{
	static const char retention[] = "retention:";
	size_t n = sizeof(retention) - 1;

	str_add(text, "ground: ");
	if (strncmp(ground, retention, n) == 0) {
		str_add(text, retention);
		certificate_add_name(text, ground + n);
	} else {
		str_add(text, ground);
	}
	str_add(text, "\n");
}

static void
add_request(struct str *text, const struct certificate *c)
{
	add_line(text, "controller", c->controller);
	add_line(text, "processor", c->processor);
	add_line(text, "subject-ref", c->subject_ref);
	add_ground(text, c->ground);
	add_line(text, "received", c->received);
	add_line(text, "identified", c->identified);
	add_line(text, "due", c->due);
	add_line(text, "decided", c->decided);
	add_line(text, "cooling-off-from", c->cooling_off_from);
	add_line(text, "cooling-off-until", c->cooling_off_until);
	add_line(text, "executed", c->executed);
	add_line(text, "zone", c->zone);
	for (size_t i = 0; i < c->n_approvers; i++) {
		str_add(text, "approver: ");
		certificate_add_name(text, c->approvers[i].role);
		str_addf(text, " %s\n",
			c->approvers[i].key_check == NULL ? "none" : c->approvers[i].key_check);
	}
	add_line(text, "plan", c->plan);
	str_addf(text, "holds: none at %s\n", c->holds_at);
}

static void
add_live(struct str *text, const struct certificate *c)
{
	for (size_t i = 0; i < c->n_live; i++) {
		const struct certificate_live *l = &c->live[i];

		str_add(text, "live: ");
		certificate_add_name(text, l->table);
		str_addf(text, " before %" PRId64 " removed %" PRId64 " masked %" PRId64
			" retained %" PRId64 " arrived-later %" PRId64 " after %" PRId64,
			l->before, l->removed, l->masked, l->retained, l->arrived, l->after);
		if (l->created > 0)
			str_addf(text, " created %" PRId64, l->created);
		str_add(text, "\n");
	}
	str_addf(text, "as-of: %s %s\n", c->as_of, c->as_of_lsn);
	for (size_t i = 0; i < c->n_retained; i++) {
		const struct certificate_retained *r = &c->retained[i];

		str_add(text, "retained: ");
		certificate_add_name(text, r->class);
		str_add(text, " ");
		certificate_add_name(text, r->basis);
		str_addf(text, " %s\n", r->until == NULL ? "not-set" : r->until);
	}
	if (c->n_retained == 0)
		str_add(text, "retained: none\n");
}

static void
add_keys(struct str *text, const struct certificate_keys *k)
{
	if (k->destroyed == 0) {
		str_add(text, "keys: none\n");
		return;
	}
	str_addf(text, "keys: destroyed %" PRId64 " fingerprint", k->destroyed);
	for (size_t i = 0; i < k->n_fingerprints; i++)
		str_addf(text, " %s", k->fingerprints[i]);
	str_addf(text, "; epoch %" PRId64 " -> %" PRId64 "; root shares destroyed %" PRId64 "/%" PRId64 " (",
		k->epoch_before, k->epoch_after, k->shares_destroyed, k->shares);
	for (size_t i = 0; i < k->n_drivers; i++) {
		str_add(text, i > 0 ? ", " : "");
		certificate_add_name(text, k->drivers[i]);
	}
	str_add(text, ")\n");
}

static void
add_stores(struct str *text, const char *what, const struct certificate_store *stores, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_addf(text, "archives: %s ", what);
		certificate_add_name(text, stores[i].name);
		str_addf(text, " until %s %s\n", stores[i].until, bases[stores[i].basis]);
	}
}

static void
add_archives(struct str *text, const struct certificate *c)
{
	if (c->generations_unreadable == 0 && c->n_residuals == 0 && c->n_undeclared == 0 && c->n_aged_out == 0)
		str_add(text, "archives: none\n");
	if (c->generations_unreadable > 0)
		str_addf(text, "archives: generations unreadable %" PRId64 "\n", c->generations_unreadable);
	add_stores(text, "residual", c->residuals, c->n_residuals);
	for (size_t i = 0; i < c->n_undeclared; i++)
		str_addf(text, "archives: undeclared %s %" PRId64 "\n", c->undeclared[i].kind, c->undeclared[i].n);
	add_stores(text, "aged-out", c->aged_out, c->n_aged_out);
}

static void
add_verdict(struct str *text, const struct certificate *c)
{
	const struct certificate_tool *t = &c->tool;

	str_addf(text, "recipients: told %" PRId64 " acknowledged %" PRId64 " pending %" PRId64 "\n",
		c->told, c->acknowledged, c->pending);
	str_addf(text, "verification: recount %s; control %s; closure %s; negative-drill %s; positive-drill %s\n",
		results[c->recount], results[c->control], results[c->closure],
		results[c->negative_drill], results[c->positive_drill]);
	add_line(text, "level", levels[c->level]);
	for (size_t i = 0; i < c->n_out_of_scope; i++)
		add_line(text, "out-of-scope", c->out_of_scope[i]);
	str_addf(text, "tool: expunge %s %s %s; openssl %s; config %s; map %s; database %" PRId64 "\n",
		t->version, t->commit, t->program, t->openssl, t->config, t->map, t->database);
	add_line(text, "statement", certificate_statement);
}

int
certificate_encode(const struct certificate *c, struct str *text, struct err *err)
{
	if (certificate_check(c, err) != 0)
		return -1;
	str_clear(text);
	str_add(text, CERTIFICATE_HEADER "\n");
	str_addf(text, "serial: %" PRId64 "\n", c->serial);
	add_line(text, "id", c->id);
	add_line(text, "kind", kinds[c->kind]);
	add_line(text, "stage", stages[c->stage]);
	if (c->interim_serial > 0)
		str_addf(text, "interim-serial: %" PRId64 "\n", c->interim_serial);
	add_line(text, "outcome", outcomes[c->outcome]);
	add_request(text, c);
	add_live(text, c);
	add_keys(text, &c->keys);
	add_archives(text, c);
	add_verdict(text, c);
	/* looked for in the whole text, because a name or a free text could say it */
	if (strcasestr(text->s, "unrecoverable") != NULL) {
		str_clear(text);
		return err_set(err, ERR_FAILED, "certificate claims more than can be known: it says \"unrecoverable\"");
	}
	if (text->len > CERTIFICATE_SIZE_MAX) {
		size_t n = text->len;

		str_clear(text);
		return err_set(err, ERR_FAILED, "certificate of %zu bytes: at most %d", n, CERTIFICATE_SIZE_MAX);
	}
	return 0;
}
