#include "evidence/export_format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "svc/crypt.h"
#include "svc/listing.h"

static void
set_live(struct json *object, const struct certificate *c)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < c->n_live; i++) {
		const struct certificate_live *l = &c->live[i];
		struct json *row = json_new_object();

		json_set_text(row, "table", l->table);
		json_set_int(row, "before", l->before);
		json_set_int(row, "removed", l->removed);
		json_set_int(row, "masked", l->masked);
		json_set_int(row, "retained", l->retained);
		json_set_int(row, "arrived-later", l->arrived);
		json_set_int(row, "after", l->after);
		json_set_int(row, "created", l->created);
		json_push(list, row);
	}
	json_set(object, "live", list);
}

static void
set_lists(struct json *object, const struct certificate *c)
{
	struct json *approvers = json_new_array(), *retained = json_new_array();

	for (size_t i = 0; i < c->n_approvers; i++) {
		struct json *one = json_new_object();

		json_set_text(one, "role", c->approvers[i].role);
		json_set_text(one, "key-check", c->approvers[i].key_check);
		json_push(approvers, one);
	}
	for (size_t i = 0; i < c->n_retained; i++) {
		struct json *one = json_new_object();

		json_set_text(one, "class", c->retained[i].class);
		json_set_text(one, "basis", c->retained[i].basis);
		json_set_text(one, "until", c->retained[i].until);
		json_push(retained, one);
	}
	json_set(object, "approver", approvers);
	json_set(object, "retained", retained);
}

static struct json *
texts(char *const *list, size_t n)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < n; i++)
		json_push_text(array, list[i]);
	return array;
}

static void
set_keys(struct json *object, const struct certificate_keys *k)
{
	struct json *keys;

	if (k->destroyed == 0) {
		json_set_text(object, "keys", NULL);
		return;
	}
	keys = json_new_object();
	json_set_int(keys, "destroyed", k->destroyed);
	json_set(keys, "fingerprint", texts(k->fingerprints, k->n_fingerprints));
	json_set_int(keys, "epoch-before", k->epoch_before);
	json_set_int(keys, "epoch-after", k->epoch_after);
	json_set_int(keys, "shares-destroyed", k->shares_destroyed);
	json_set_int(keys, "shares", k->shares);
	json_set(keys, "drivers", texts(k->drivers, k->n_drivers));
	json_set(object, "keys", keys);
}

static struct json *
stores(const struct certificate_store *list, size_t n)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < n; i++) {
		struct json *one = json_new_object();

		json_set_text(one, "store", list[i].name);
		json_set_text(one, "until", list[i].until);
		json_set_text(one, "basis", certificate_basis_text(list[i].basis));
		json_push(array, one);
	}
	return array;
}

static void
set_archives(struct json *object, const struct certificate *c)
{
	struct json *archives = json_new_object(), *undeclared = json_new_array(), *recipients = json_new_object();

	for (size_t i = 0; i < c->n_undeclared; i++) {
		struct json *one = json_new_object();

		json_set_text(one, "kind", c->undeclared[i].kind);
		json_set_int(one, "n", c->undeclared[i].n);
		json_push(undeclared, one);
	}
	json_set_int(archives, "generations-unreadable", c->generations_unreadable);
	json_set(archives, "residual", stores(c->residuals, c->n_residuals));
	json_set(archives, "undeclared", undeclared);
	json_set(archives, "aged-out", stores(c->aged_out, c->n_aged_out));
	json_set(object, "archives", archives);
	json_set_int(recipients, "told", c->told);
	json_set_int(recipients, "acknowledged", c->acknowledged);
	json_set_int(recipients, "pending", c->pending);
	json_set(object, "recipients", recipients);
}

static void
set_verdict(struct json *object, const struct certificate *c)
{
	struct json *verification = json_new_object(), *tool = json_new_object();

	json_set_text(verification, "recount", certificate_check_text(c->recount));
	json_set_text(verification, "control", certificate_check_text(c->control));
	json_set_text(verification, "closure", certificate_check_text(c->closure));
	json_set_text(verification, "negative-drill", certificate_check_text(c->negative_drill));
	json_set_text(verification, "positive-drill", certificate_check_text(c->positive_drill));
	json_set(object, "verification", verification);
	json_set_text(object, "level", certificate_level_text(c->level));
	json_set(object, "out-of-scope", texts(c->out_of_scope, c->n_out_of_scope));
	json_set_text(tool, "expunge", c->tool.version);
	json_set_text(tool, "commit", c->tool.commit);
	json_set_text(tool, "program", c->tool.program);
	json_set_text(tool, "openssl", c->tool.openssl);
	json_set_text(tool, "config", c->tool.config);
	json_set_text(tool, "map", c->tool.map);
	json_set_int(tool, "database", c->tool.database);
	json_set(object, "tool", tool);
}

static void
set_head(struct json *object, const struct certificate *c)
{
	json_set_text(object, "format", CERTIFICATE_HEADER);
	json_set_int(object, "serial", c->serial);
	json_set_text(object, "id", c->id);
	json_set_text(object, "kind", certificate_kind_text(c->kind));
	json_set_text(object, "stage", certificate_stage_text(c->stage));
	if (c->interim_serial > 0)
		json_set_int(object, "interim-serial", c->interim_serial);
	else
		json_set_text(object, "interim-serial", NULL);
	json_set_text(object, "outcome", certificate_outcome_text(c->outcome));
	json_set_text(object, "controller", c->controller);
	json_set_text(object, "processor", c->processor);
	json_set_text(object, "subject-ref", c->subject_ref);
	json_set_text(object, "ground", c->ground);
	json_set_text(object, "received", c->received);
	json_set_text(object, "identified", c->identified);
	json_set_text(object, "due", c->due);
	json_set_text(object, "decided", c->decided);
	json_set_text(object, "cooling-off-from", c->cooling_off_from);
	json_set_text(object, "cooling-off-until", c->cooling_off_until);
	json_set_text(object, "executed", c->executed);
	json_set_text(object, "zone", c->zone);
	json_set_text(object, "plan", c->plan);
	json_set_text(object, "holds-none-at", c->holds_at);
	json_set_text(object, "as-of", c->as_of);
	json_set_text(object, "lsn", c->as_of_lsn);
}

int
export_json(FILE *out, const struct certificate *c, const char *note, struct err *err)
{
	struct json *object = json_new_object();

	set_head(object, c);
	set_lists(object, c);
	set_live(object, c);
	set_keys(object, &c->keys);
	set_archives(object, c);
	set_verdict(object, c);
	json_set_text(object, "note", note);
	return json_print(out, object, err);
}

static void
put_text(FILE *out, const char *text)
{
	bool formula = text != NULL && text[0] != '\0' && strchr("=+-@", text[0]) != NULL;
	bool quoted = formula || (text != NULL && strpbrk(text, ",\"\r\n") != NULL);

	if (quoted)
		(void)fputs(formula ? "\"'" : "\"", out);
	for (; text != NULL && *text != '\0'; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputs(quoted ? "\"," : ",", out);
}

static void
put_number(FILE *out, int64_t number)
{
	(void)fprintf(out, "%" PRId64 ",", number);
}

static void
put_live(FILE *out, const struct certificate *c)
{
	struct certificate_live sum = { 0 };

	for (size_t i = 0; i < c->n_live; i++) {
		sum.before += c->live[i].before;
		sum.arrived += c->live[i].arrived;
		sum.removed += c->live[i].removed;
		sum.masked += c->live[i].masked;
		sum.retained += c->live[i].retained;
		sum.after += c->live[i].after;
		sum.created += c->live[i].created;
	}
	put_number(out, sum.before);
	put_number(out, sum.arrived);
	put_number(out, sum.removed);
	put_number(out, sum.masked);
	put_number(out, sum.retained);
	put_number(out, sum.after);
	put_number(out, sum.created);
}

static void
put_residuals(FILE *out, const struct certificate *c)
{
	const char *last = NULL;

	for (size_t i = 0; i < c->n_residuals; i++)
		if (last == NULL || strcmp(last, c->residuals[i].until) < 0)
			last = c->residuals[i].until;
	put_number(out, (int64_t)c->n_residuals);
	put_text(out, last);
}

static void
put_head(FILE *out, const struct certificate *c)
{
	const char *const texts_of[] = { c->controller, c->processor, c->subject_ref, c->ground, c->received,
		c->identified, c->due, c->decided, c->cooling_off_from, c->cooling_off_until, c->executed,
		c->zone, c->plan };

	put_number(out, c->serial);
	put_text(out, c->id);
	put_text(out, certificate_kind_text(c->kind));
	put_text(out, certificate_stage_text(c->stage));
	if (c->interim_serial > 0)
		put_number(out, c->interim_serial);
	else
		put_text(out, NULL);
	put_text(out, certificate_outcome_text(c->outcome));
	for (size_t i = 0; i < sizeof(texts_of) / sizeof(texts_of[0]); i++)
		put_text(out, texts_of[i]);
}

int
export_csv(FILE *out, const struct certificate *c, const char *note, size_t n, struct err *err)
{
	char hash[72];

	if (crypt_sha256_text(note, n, hash, err) != 0)
		return -1;
	put_head(out, c);
	put_live(out, c);
	put_text(out, c->as_of);
	put_text(out, c->as_of_lsn);
	put_number(out, c->keys.destroyed);
	put_residuals(out, c);
	put_number(out, c->told);
	put_number(out, c->acknowledged);
	put_number(out, c->pending);
	put_text(out, certificate_check_text(c->recount));
	put_text(out, certificate_check_text(c->control));
	put_text(out, certificate_check_text(c->closure));
	put_text(out, certificate_check_text(c->negative_drill));
	put_text(out, certificate_check_text(c->positive_drill));
	put_text(out, certificate_level_text(c->level));
	(void)fprintf(out, "%s\r\n", hash);
	return 0;
}
