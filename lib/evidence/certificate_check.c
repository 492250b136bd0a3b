#include "evidence/certificate.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

#define HEX "0123456789abcdef"
#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static int
ill(struct err *err, const char *field, const char *must)
{
	return err_set(err, ERR_FAILED, "certificate field %s must %s", field, must);
}

static bool
consists_of(const char *text, const char *set, size_t min, size_t max)
{
	size_t n = strspn(text, set);

	return text[n] == '\0' && n >= min && n <= max;
}

static bool
is_hex32(const char *text)
{
	return text != NULL && consists_of(text, HEX, 32, 32);
}

static bool
is_hash(const char *text)
{
	return text != NULL && parse_is_sha256(text);
}

static bool
is_time(const char *text)
{
	return text != NULL && parse_is_utc_time(text);
}

static bool
is_date(const char *text)
{
	int year, month, day;

	return text != NULL && parse_date(text, &year, &month, &day) == 0;
}

static bool
is_lsn(const char *text)
{
	const char *slash = text == NULL ? NULL : strchr(text, '/');
	size_t high = slash == NULL ? 0 : (size_t)(slash - text);

	return slash != NULL && high >= 1 && high <= 8 && strspn(text, DIGITS "ABCDEF") == high &&
		consists_of(slash + 1, DIGITS "ABCDEF", 1, 8);
}

static bool
is_text(const char *text)
{
	return text != NULL && parse_is_plain_text(text, CERTIFICATE_TEXT_MAX) && text[0] != ' ' &&
		text[strlen(text) - 1] != ' ';
}

/* any UTF-8: what a terminal should not show is escaped */
static bool
is_name(const char *text)
{
	size_t n = text == NULL ? 0 : strnlen(text, CERTIFICATE_NAME_MAX + 1);

	return n >= 1 && n <= CERTIFICATE_NAME_MAX && parse_is_utf8(text, n);
}

static bool
is_word(const char *text)
{
	return text != NULL && consists_of(text, LETTERS DIGITS "._+-", 1, 100);
}

/* a time that may be absent */
static int
check_time(const char *text, bool needed, const char *field, struct err *err)
{
	if (text == NULL && !needed)
		return 0;
	return is_time(text) ? 0 : ill(err, field, "be a time as 2026-09-03T10:00:00Z");
}

static int
check_head(const struct certificate *c, struct err *err)
{
	if (c->serial < 1)
		return ill(err, "serial", "be 1 or more");
	if (!is_hex32(c->id))
		return ill(err, "id", "be 32 lower-case hexadecimal digits");
	if (certificate_kind_text(c->kind) == NULL)
		return ill(err, "kind", "be one of the five kinds");
	if (certificate_stage_text(c->stage) == NULL)
		return ill(err, "stage", "be interim or final");
	if (c->interim_serial < 0 || (c->interim_serial > 0 && c->stage != CERTIFICATE_FINAL) ||
	    c->interim_serial >= c->serial)
		return ill(err, "interim-serial", "be in a final certificate, and smaller than its serial");
	if (certificate_outcome_text(c->outcome) == NULL)
		return ill(err, "outcome", "be completed or completed-with-exclusions");
	if (!is_text(c->controller))
		return ill(err, "controller", "be plain text of 1 to 1000 bytes");
	if (!is_text(c->processor))
		return ill(err, "processor", "be plain text of 1 to 1000 bytes");
	return 0;
}

static int
check_ground(const struct certificate *c, struct err *err)
{
	const char *ground = c->ground == NULL ? "" : c->ground;
	bool article_17 = strlen(ground) == 16 && strncmp(ground, "UK-GDPR-17(1)(", 14) == 0 &&
		ground[14] >= 'a' && ground[14] <= 'g' && ground[15] == ')';
	bool article_28 = strcmp(ground, "UK-GDPR-28(3)(g)") == 0;
	bool retention = strncmp(ground, "retention:", 10) == 0 && is_name(ground + 10);

	if (!article_17 && !article_28 && !retention)
		return ill(err, "ground", "be UK-GDPR-17(1)(a) to (g), UK-GDPR-28(3)(g) or retention:<class>");
	if ((c->kind == CERTIFICATE_SUBJECT_ERASURE && !article_17) ||
	    (c->kind == CERTIFICATE_ACCOUNT_CLOSURE && !article_28) ||
	    (c->kind == CERTIFICATE_RETENTION_DISPOSAL && !retention))
		return ill(err, "ground", "fit the kind");
	return 0;
}

static int
check_times(const struct certificate *c, struct err *err)
{
	bool subject = c->kind == CERTIFICATE_SUBJECT_ERASURE;
	bool closure = c->kind == CERTIFICATE_ACCOUNT_CLOSURE;

	if (check_time(c->received, subject, "received", err) != 0 ||
	    check_time(c->identified, subject, "identified", err) != 0 ||
	    check_time(c->due, subject, "due", err) != 0 ||
	    check_time(c->decided, subject, "decided", err) != 0 ||
	    check_time(c->cooling_off_from, closure, "cooling-off-from", err) != 0 ||
	    check_time(c->cooling_off_until, closure, "cooling-off-until", err) != 0 ||
	    check_time(c->executed, true, "executed", err) != 0 ||
	    check_time(c->holds_at, true, "holds", err) != 0 ||
	    check_time(c->as_of, true, "as-of", err) != 0)
		return -1;
	if (!closure && (c->cooling_off_from != NULL || c->cooling_off_until != NULL))
		return ill(err, "cooling-off-from", "be in the certificate of a closure only");
	if (!is_lsn(c->as_of_lsn))
		return ill(err, "as-of", "have a log position as 0/3A7F2C8");
	if (c->zone == NULL || !consists_of(c->zone, LETTERS DIGITS "_+-/", 1, 100))
		return ill(err, "zone", "be the name of a time zone");
	return 0;
}

/* times of one form sort as text */
static bool
is_after(const char *earlier, const char *later)
{
	return earlier != NULL && later != NULL && strcmp(earlier, later) > 0;
}

static int
check_order(const struct certificate *c, struct err *err)
{
	if (is_after(c->received, c->decided) || is_after(c->received, c->executed))
		return ill(err, "received", "be before decided and executed");
	if (is_after(c->decided, c->executed))
		return ill(err, "decided", "be before executed");
	if (is_after(c->cooling_off_from, c->cooling_off_until) ||
	    is_after(c->cooling_off_until, c->executed))
		return ill(err, "cooling-off-until", "be between cooling-off-from and executed");
	if (is_after(c->executed, c->as_of) || is_after(c->holds_at, c->as_of))
		return ill(err, "as-of", "be after executed and holds");
	return 0;
}

static int
check_request(const struct certificate *c, struct err *err)
{
	bool one_subject = c->kind != CERTIFICATE_ACCOUNT_CLOSURE && c->kind != CERTIFICATE_BACKUP_EXPIRY;

	if (one_subject ? !is_hash(c->subject_ref) : c->subject_ref != NULL)
		return ill(err, "subject-ref", "be a sha256 where one subject is concerned, else absent");
	if (!is_hash(c->plan))
		return ill(err, "plan", "be a sha256");
	if (c->n_approvers == 0 && c->kind != CERTIFICATE_BACKUP_EXPIRY)
		return ill(err, "approver", "be there once at least");
	if (c->n_approvers < 2 && c->kind == CERTIFICATE_ACCOUNT_CLOSURE)
		return ill(err, "approver", "be there twice at least where an account is closed");
	for (size_t i = 0; i < c->n_approvers; i++) {
		const struct certificate_approver *a = &c->approvers[i];

		if (!is_name(a->role) || (a->key_check != NULL && !is_hex32(a->key_check)))
			return ill(err, "approver", "be a role and 32 lower-case hexadecimal digits");
	}
	return 0;
}

/* adds n to *sum; false when n is negative or the sum overflows */
static bool
add(int64_t *sum, int64_t n)
{
	return n >= 0 && !__builtin_add_overflow(*sum, n, sum);
}

static int
check_live(const struct certificate *c, struct err *err)
{
	bool excluded = c->n_retained > 0, retained = false;

	for (size_t i = 0; i < c->n_live; i++) {
		const struct certificate_live *l = &c->live[i];
		int64_t in = 0, out = 0, created = 0;

		if (!is_name(l->table))
			return ill(err, "live", "name a table");
		if (i > 0 && strcmp(c->live[i - 1].table, l->table) >= 0)
			return ill(err, "live", "name each table once, in ascending order");
		if (!add(&in, l->before) || !add(&in, l->arrived) || !add(&out, l->removed) ||
		    !add(&out, l->masked) || !add(&out, l->retained) || !add(&out, l->after) ||
		    !add(&created, l->created) || in != out)
			return err_set(err, ERR_FAILED, "certificate field live: the counts of table %s do not add up: "
				"%" PRId64 " planned, %" PRId64 " accounted for", l->table, in, out);
		excluded = excluded || l->masked > 0 || l->retained > 0 || l->after > 0;
		retained = retained || l->retained > 0;
	}
	if (excluded && c->outcome == CERTIFICATE_COMPLETED)
		return ill(err, "outcome", "be completed-with-exclusions: rows were masked, retained or are still there");
	if (retained && c->n_retained == 0)
		return ill(err, "retained", "name the class of the rows that were retained");
	if (c->n_live > 0 && c->recount != CERTIFICATE_PASS)
		return ill(err, "verification", "have a recount that passed, because rows are counted");
	return 0;
}

static int
check_retained(const struct certificate *c, struct err *err)
{
	for (size_t i = 0; i < c->n_retained; i++) {
		const struct certificate_retained *r = &c->retained[i];

		if (!is_name(r->class) || !is_name(r->basis) ||
		    (r->until != NULL && !is_date(r->until)))
			return ill(err, "retained", "be a class, a basis and a date");
	}
	if (c->told < 0 || c->pending < 0 || c->acknowledged < 0 || c->acknowledged > c->told)
		return ill(err, "recipients", "be counts, no more acknowledged than told");
	return 0;
}

static int
check_stores(const struct certificate_store *stores, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!is_name(stores[i].name) || !is_date(stores[i].until) || certificate_basis_text(stores[i].basis) == NULL)
			return ill(err, "archives", "be a store, a date, and on whose word");
	return 0;
}

/* An interim certificate says what it waits for; a final one that follows it, how that came to its end. */
static int
check_archives(const struct certificate *c, struct err *err)
{
	if (check_stores(c->residuals, c->n_residuals, err) != 0 || check_stores(c->aged_out, c->n_aged_out, err) != 0)
		return -1;
	for (size_t i = 0; i < c->n_residuals; i++)
		if (c->residuals[i].basis == CERTIFICATE_STATED)
			return ill(err, "archives", "be declared or reported while a store holds the rows");
	for (size_t i = 0; i < c->n_undeclared; i++)
		if (!is_word(c->undeclared[i].kind) || c->undeclared[i].n < 1)
			return ill(err, "archives", "count undeclared copies by their kind");
	if (c->generations_unreadable < 0)
		return ill(err, "archives", "count generations");
	if (c->stage == CERTIFICATE_FINAL && c->n_residuals + c->n_undeclared > 0)
		return ill(err, "stage", "be interim while a store still holds the rows");
	if (c->stage == CERTIFICATE_INTERIM && c->n_residuals + c->n_undeclared == 0)
		return ill(err, "stage", "be final when no store holds the rows");
	if ((c->interim_serial > 0) != (c->n_aged_out > 0))
		return ill(err, "interim-serial", "be there with the stores that have aged out since");
	if (c->level == CERTIFICATE_AGED_OUT && c->n_aged_out == 0)
		return ill(err, "level", "name the stores to be aged-out");
	return 0;
}

static int
check_keys(const struct certificate *c, struct err *err)
{
	const struct certificate_keys *k = &c->keys;

	if (k->destroyed == 0) {
		if (k->n_fingerprints > 0 || k->n_drivers > 0 || k->epoch_before != 0 ||
		    k->epoch_after != 0 || k->shares_destroyed != 0 || k->shares != 0)
			return ill(err, "keys", "be none, or count the keys destroyed");
		return c->level == CERTIFICATE_KEYS_DESTROYED
			? ill(err, "level", "name keys to be keys-destroyed") : 0;
	}
	if (k->destroyed < 0 || k->n_fingerprints == 0 || (int64_t)k->n_fingerprints > k->destroyed)
		return ill(err, "keys", "have fingerprints, no more than keys destroyed");
	for (size_t i = 0; i < k->n_fingerprints; i++)
		if (!is_hex32(k->fingerprints[i]))
			return ill(err, "keys", "have fingerprints of 32 lower-case hexadecimal digits");
	if (k->epoch_before < 0 || k->epoch_after <= k->epoch_before)
		return ill(err, "keys", "end in a later epoch");
	if (k->shares_destroyed < 1 || k->shares_destroyed > k->shares ||
	    (int64_t)k->n_drivers != k->shares_destroyed)
		return ill(err, "keys", "name the driver of each root share destroyed");
	for (size_t i = 0; i < k->n_drivers; i++)
		if (!is_name(k->drivers[i]))
			return ill(err, "keys", "name the driver of each root share destroyed");
	return 0;
}

static int
check_verdict(const struct certificate *c, struct err *err)
{
	const enum certificate_check_result results[] = { c->recount, c->control, c->closure,
		c->negative_drill, c->positive_drill };
	const struct certificate_tool *t = &c->tool;

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (certificate_check_text(results[i]) == NULL)
			return ill(err, "verification", "say pass or not-run of each check");
	if (certificate_level_text(c->level) == NULL)
		return ill(err, "level", "be one of the four levels");
	if (c->level == CERTIFICATE_AGED_OUT && c->stage != CERTIFICATE_FINAL)
		return ill(err, "level", "be aged-out in a final certificate only");
	if (c->n_out_of_scope == 0)
		return ill(err, "out-of-scope", "be there once at least");
	for (size_t i = 0; i < c->n_out_of_scope; i++)
		if (!is_text(c->out_of_scope[i]))
			return ill(err, "out-of-scope", "be plain text of 1 to 1000 bytes");
	if (!is_word(t->version) || !is_word(t->commit) || !is_word(t->openssl))
		return ill(err, "tool", "have versions of letters, digits and ._+-");
	if (!is_hash(t->program) || !is_hash(t->config) || !is_hash(t->map))
		return ill(err, "tool", "have the sha256 of program, config and map");
	if (t->database < 1)
		return ill(err, "tool", "have the database system identifier");
	return 0;
}

int
certificate_check(const struct certificate *c, struct err *err)
{
	if (check_head(c, err) != 0 || check_ground(c, err) != 0 || check_times(c, err) != 0 ||
	    check_order(c, err) != 0 || check_request(c, err) != 0 || check_verdict(c, err) != 0 ||
	    check_live(c, err) != 0 || check_retained(c, err) != 0 || check_archives(c, err) != 0)
		return -1;
	return check_keys(c, err);
}
