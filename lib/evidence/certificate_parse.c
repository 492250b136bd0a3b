/*
 * The parser reads fields by position and leaves judging them to the encoder: what it has read is
 * encoded again and must give the same bytes. So nothing can be accepted that would not be written.
 */
#include "evidence/certificate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "evidence/certificate_text.h"

struct lines {
	char *next; /* of the text, cut into lines as they are taken; NULL at the end */
	size_t number;
};

/* The value of the next line if its key is `key`, else NULL and the line stays. */
static char *
take(struct lines *lines, const char *key)
{
	size_t n = strlen(key);
	char *line = lines->next, *end;

	if (line == NULL || strncmp(line, key, n) != 0 || line[n] != ':' || line[n + 1] != ' ')
		return NULL;
	end = strchr(line, '\n');
	*end = '\0';
	lines->next = end[1] == '\0' ? NULL : end + 1;
	lines->number++;
	return line + n + 2;
}

static int
take_text(struct lines *lines, const char *key, char **ret)
{
	const char *value = take(lines, key);

	if (value == NULL)
		return -1;
	*ret = mem_copy(value);
	return 0;
}

/* an optional line */
static void
may_take_text(struct lines *lines, const char *key, char **ret)
{
	const char *value = take(lines, key);

	*ret = mem_copy(value);
}

/* Moves *p past `literal`, or fails. */
static int
scan(char **p, const char *literal)
{
	size_t n = strlen(literal);

	if (strncmp(*p, literal, n) != 0)
		return -1;
	*p += n;
	return 0;
}

/* Copies the bytes before the first of `stops`, or all, and moves *p there. Fails on none. */
static int
scan_until(char **p, const char *stops, char **ret)
{
	size_t n = strcspn(*p, stops);

	if (n == 0)
		return -1;
	*ret = mem_copy_n(*p, n);
	*p += n;
	return 0;
}

static int
scan_number(char **p, int64_t *ret)
{
	CLEANUP(free_text) char *digits = NULL;
	size_t n = strspn(*p, "0123456789");

	digits = mem_copy_n(*p, n);
	*p += n;
	return parse_int64(digits, 0, INT64_MAX, ret);
}

/* Undoes the escapes of certificate_add_name. */
static int
unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from != '\0'; from++) {
		uint8_t byte = (uint8_t)*from;

		if (*from == '%') {
			char digits[3] = { from[1], from[1] == '\0' ? '\0' : from[2], '\0' };

			if (bytes_from_hex(digits, &byte, 1) != 0 || byte == 0)
				return -1;
			from += 2;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	return 0;
}

static int
scan_name(char **p, char **ret)
{
	return scan_until(p, " ", ret) == 0 ? unescape(*ret) : -1;
}

static int
take_number(struct lines *lines, const char *key, int64_t *ret)
{
	char *p = take(lines, key);

	return p == NULL || scan_number(&p, ret) != 0 || *p != '\0' ? -1 : 0;
}

/* The number of the enum whose text the line has; a text of no enum is 0, which encode refuses. */
static int
take_choice(struct lines *lines, const char *key, const char *(*text_of)(unsigned int))
{
	const char *value = take(lines, key);

	for (unsigned int i = 1; value != NULL && text_of(i) != NULL; i++)
		if (strcmp(text_of(i), value) == 0)
			return (int)i;
	return 0;
}

static const char *
kind_text(unsigned int i)
{
	return certificate_kind_text((enum certificate_kind)i);
}

static const char *
stage_text(unsigned int i)
{
	return certificate_stage_text((enum certificate_stage)i);
}

static const char *
outcome_text(unsigned int i)
{
	return certificate_outcome_text((enum certificate_outcome)i);
}

static const char *
level_text(unsigned int i)
{
	return certificate_level_text((enum certificate_level)i);
}

static int
parse_head(struct lines *l, struct certificate *c)
{
	char *p;

	if (take_number(l, "serial", &c->serial) != 0 || take_text(l, "id", &c->id) != 0)
		return -1;
	c->kind = (enum certificate_kind)take_choice(l, "kind", kind_text);
	c->stage = (enum certificate_stage)take_choice(l, "stage", stage_text);
	p = take(l, "interim-serial");
	if (p != NULL && (scan_number(&p, &c->interim_serial) != 0 || *p != '\0'))
		return -1;
	c->outcome = (enum certificate_outcome)take_choice(l, "outcome", outcome_text);
	if (take_text(l, "controller", &c->controller) != 0 || take_text(l, "processor", &c->processor) != 0)
		return -1;
	may_take_text(l, "subject-ref", &c->subject_ref);
	if (take_text(l, "ground", &c->ground) != 0)
		return -1;
	return strncmp(c->ground, "retention:", 10) == 0 ? unescape(c->ground) : 0;
}

static int
parse_times(struct lines *l, struct certificate *c)
{
	may_take_text(l, "received", &c->received);
	may_take_text(l, "identified", &c->identified);
	may_take_text(l, "due", &c->due);
	may_take_text(l, "decided", &c->decided);
	may_take_text(l, "cooling-off-from", &c->cooling_off_from);
	may_take_text(l, "cooling-off-until", &c->cooling_off_until);
	return take_text(l, "executed", &c->executed) == 0 ? take_text(l, "zone", &c->zone) : -1;
}

static int
parse_approval(struct lines *l, struct certificate *c)
{
	char *p;

	while ((p = take(l, "approver")) != NULL) {
		struct certificate_approver *a = MEM_PUSH(c->approvers, c->n_approvers);

		if (scan_name(&p, &a->role) != 0 || scan(&p, " ") != 0)
			return -1;
		if (strcmp(p, "none") != 0)
			a->key_check = mem_copy(p);
	}
	if (take_text(l, "plan", &c->plan) != 0)
		return -1;
	p = take(l, "holds");
	return p == NULL || scan(&p, "none at ") != 0 ? -1 : scan_until(&p, "", &c->holds_at);
}

static int
parse_live(struct lines *l, struct certificate *c)
{
	char *p;

	while ((p = take(l, "live")) != NULL) {
		struct certificate_live *n = MEM_PUSH(c->live, c->n_live);

		if (scan_name(&p, &n->table) != 0 || scan(&p, " before ") != 0 ||
		    scan_number(&p, &n->before) != 0 || scan(&p, " removed ") != 0 ||
		    scan_number(&p, &n->removed) != 0 || scan(&p, " masked ") != 0 ||
		    scan_number(&p, &n->masked) != 0 || scan(&p, " retained ") != 0 ||
		    scan_number(&p, &n->retained) != 0 || scan(&p, " arrived-later ") != 0 ||
		    scan_number(&p, &n->arrived) != 0 || scan(&p, " after ") != 0 ||
		    scan_number(&p, &n->after) != 0)
			return -1;
		if (*p != '\0' &&
		    (scan(&p, " created ") != 0 || scan_number(&p, &n->created) != 0 || *p != '\0'))
			return -1;
	}
	p = take(l, "as-of");
	return p == NULL || scan_until(&p, " ", &c->as_of) != 0 || scan(&p, " ") != 0
		? -1 : scan_until(&p, "", &c->as_of_lsn);
}

static int
parse_retained(struct lines *l, struct certificate *c)
{
	char *p = take(l, "retained");

	if (p != NULL && strcmp(p, "none") == 0)
		return 0;
	if (p == NULL)
		return -1;
	for (; p != NULL; p = take(l, "retained")) {
		struct certificate_retained *r = MEM_PUSH(c->retained, c->n_retained);

		if (scan_name(&p, &r->class) != 0 || scan(&p, " ") != 0 ||
		    scan_name(&p, &r->basis) != 0 || scan(&p, " ") != 0)
			return -1;
		if (strcmp(p, "not-set") != 0)
			r->until = mem_copy(p);
	}
	return 0;
}

static int
parse_drivers(char *p, struct certificate_keys *k)
{
	bool more = true;

	while (more) {
		char **driver = MEM_PUSH(k->drivers, k->n_drivers);
		size_t n;

		if (scan_until(&p, " ", driver) != 0)
			return -1;
		more = scan(&p, " ") == 0;
		/* what parts it from the next one, or closes the list */
		n = strlen(*driver);
		if ((*driver)[n - 1] != (more ? ',' : ')'))
			return -1;
		(*driver)[n - 1] = '\0';
		if (unescape(*driver) != 0)
			return -1;
	}
	return 0;
}

static int
parse_keys(struct lines *l, struct certificate *c)
{
	struct certificate_keys *k = &c->keys;
	char *p = take(l, "keys");

	if (p == NULL || strcmp(p, "none") == 0)
		return p == NULL ? -1 : 0;
	if (scan(&p, "destroyed ") != 0 || scan_number(&p, &k->destroyed) != 0 || scan(&p, " fingerprint") != 0)
		return -1;
	while (scan(&p, " ") == 0)
		if (scan_until(&p, " ;", MEM_PUSH(k->fingerprints, k->n_fingerprints)) != 0)
			return -1;
	if (scan(&p, "; epoch ") != 0 || scan_number(&p, &k->epoch_before) != 0 ||
	    scan(&p, " -> ") != 0 || scan_number(&p, &k->epoch_after) != 0 ||
	    scan(&p, "; root shares destroyed ") != 0 || scan_number(&p, &k->shares_destroyed) != 0 ||
	    scan(&p, "/") != 0 || scan_number(&p, &k->shares) != 0 || scan(&p, " (") != 0)
		return -1;
	return parse_drivers(p, k);
}

/* "NAME until DATE BASIS" */
static int
parse_store(char *p, struct certificate_store *store)
{
	if (scan_name(&p, &store->name) != 0 || scan(&p, " until ") != 0 || scan_until(&p, " ", &store->until) != 0 ||
	    scan(&p, " ") != 0)
		return -1;
	for (unsigned int i = 1; certificate_basis_text((enum certificate_basis)i) != NULL; i++)
		if (strcmp(certificate_basis_text((enum certificate_basis)i), p) == 0)
			store->basis = (enum certificate_basis)i;
	return 0;
}

static int
parse_undeclared(char *p, struct certificate_undeclared *undeclared)
{
	if (scan_until(&p, " ", &undeclared->kind) != 0 || scan(&p, " ") != 0 || scan_number(&p, &undeclared->n) != 0)
		return -1;
	return *p == '\0' ? 0 : -1;
}

static int
parse_archives(struct lines *l, struct certificate *c)
{
	int failed = 0;
	char *p = take(l, "archives");

	if (p == NULL || strcmp(p, "none") == 0)
		return p == NULL ? -1 : 0;
	if (scan(&p, "generations unreadable ") == 0) {
		if (scan_number(&p, &c->generations_unreadable) != 0 || *p != '\0')
			return -1;
		p = take(l, "archives");
	}
	for (; p != NULL && failed == 0; p = take(l, "archives")) {
		if (scan(&p, "residual ") == 0)
			failed = parse_store(p, MEM_PUSH(c->residuals, c->n_residuals));
		else if (scan(&p, "undeclared ") == 0)
			failed = parse_undeclared(p, MEM_PUSH(c->undeclared, c->n_undeclared));
		else
			failed = scan(&p, "aged-out ") == 0 ? parse_store(p, MEM_PUSH(c->aged_out, c->n_aged_out)) : -1;
	}
	return failed;
}

static int
scan_result(char **p, const char *name, enum certificate_check_result *ret)
{
	if (scan(p, name) != 0)
		return -1;
	if (scan(p, " pass") == 0)
		*ret = CERTIFICATE_PASS;
	else if (scan(p, " not-run") == 0)
		*ret = CERTIFICATE_NOT_RUN;
	else
		return -1;
	return 0;
}

static int
parse_verification(struct lines *l, struct certificate *c)
{
	char *p = take(l, "recipients");

	if (p == NULL || scan(&p, "told ") != 0 || scan_number(&p, &c->told) != 0 ||
	    scan(&p, " acknowledged ") != 0 || scan_number(&p, &c->acknowledged) != 0 ||
	    scan(&p, " pending ") != 0 || scan_number(&p, &c->pending) != 0 || *p != '\0')
		return -1;
	p = take(l, "verification");
	if (p == NULL || scan_result(&p, "recount", &c->recount) != 0 ||
	    scan_result(&p, "; control", &c->control) != 0 ||
	    scan_result(&p, "; closure", &c->closure) != 0 ||
	    scan_result(&p, "; negative-drill", &c->negative_drill) != 0 ||
	    scan_result(&p, "; positive-drill", &c->positive_drill) != 0)
		return -1;
	c->level = (enum certificate_level)take_choice(l, "level", level_text);
	return *p == '\0' ? 0 : -1;
}

static int
parse_end(struct lines *l, struct certificate *c)
{
	struct certificate_tool *t = &c->tool;
	char *p;

	while ((p = take(l, "out-of-scope")) != NULL)
		*MEM_PUSH(c->out_of_scope, c->n_out_of_scope) = mem_copy(p);
	p = take(l, "tool");
	if (p == NULL || scan(&p, "expunge ") != 0 || scan_until(&p, " ", &t->version) != 0 ||
	    scan(&p, " ") != 0 || scan_until(&p, " ", &t->commit) != 0 ||
	    scan(&p, " ") != 0 || scan_until(&p, ";", &t->program) != 0 ||
	    scan(&p, "; openssl ") != 0 || scan_until(&p, ";", &t->openssl) != 0 ||
	    scan(&p, "; config ") != 0 || scan_until(&p, ";", &t->config) != 0 ||
	    scan(&p, "; map ") != 0 || scan_until(&p, ";", &t->map) != 0 ||
	    scan(&p, "; database ") != 0 || scan_number(&p, &t->database) != 0 || *p != '\0')
		return -1;
	p = take(l, "statement");
	return p == NULL || strcmp(p, certificate_statement) != 0 || l->next != NULL ? -1 : 0;
}

static int
parse_fields(char *text, size_t *ret_line, struct certificate *c)
{
	struct lines l = { text, 1 };
	size_t n = strlen(CERTIFICATE_HEADER);
	int rc = -1;

	if (strncmp(text, CERTIFICATE_HEADER "\n", n + 1) == 0) {
		l.next = text + n + 1;
		if (*l.next == '\0')
			l.next = NULL;
		rc = parse_head(&l, c) != 0 || parse_times(&l, c) != 0 || parse_approval(&l, c) != 0 ||
				parse_live(&l, c) != 0 || parse_retained(&l, c) != 0 ||
				parse_keys(&l, c) != 0 || parse_archives(&l, c) != 0 ||
				parse_verification(&l, c) != 0 || parse_end(&l, c) != 0
			? -1 : 0;
	}
	*ret_line = l.number;
	return rc;
}

static int
parse(const char *text, size_t n, struct certificate *c, struct err *err)
{
	CLEANUP(free_text) char *copy = NULL;
	CLEANUP(str_release) struct str again = STR_INIT;
	size_t line;

	if (n > CERTIFICATE_SIZE_MAX || n == 0 || text[n - 1] != '\n' || !parse_is_utf8(text, n))
		return err_set(err, ERR_FAILED, "not a certificate: not UTF-8 text of 1 to %d bytes that ends with a line feed",
			CERTIFICATE_SIZE_MAX);
	copy = mem_copy_n(text, n);
	if (parse_fields(copy, &line, c) != 0)
		return err_set(err, ERR_FAILED, "not a certificate of %s: malformed at line %zu or the next",
			CERTIFICATE_HEADER, line);
	if (certificate_encode(c, &again, err) != 0)
		return err_prefix(err, "not a valid certificate");
	if (again.len != n || memcmp(again.s, text, n) != 0)
		return err_set(err, ERR_FAILED, "not a certificate of %s: its fields are written otherwise than they must be",
			CERTIFICATE_HEADER);
	return 0;
}

int
certificate_parse(const char *text, size_t n, struct certificate *ret, struct err *err)
{
	*ret = (struct certificate)CERTIFICATE_INIT;
	if (parse(text, n, ret, err) == 0)
		return 0;
	certificate_release(ret);
	return -1;
}
