/* The certificate's text: vectors named after their verdict, and every rule between fields. */
#include "evidence.h"

#include <dirent.h>

#include "base/cleanup.h"

/* the verdict on a whole note: signature, then text */
static int
judge(const char *bytes, size_t n, struct err *err)
{
	static struct note_key key; /* read once: this is called for every bit of a note */
	CLEANUP(note_release) struct note note = NOTE_INIT;
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	int rc;

	if (key.name == NULL)
		key = example_key();
	rc = note_open(&note, bytes, n, &key, 1, err);
	if (rc == 0)
		rc = certificate_parse(note.text, note.n, &c, err);
	if (rc == 0) {
		CLEANUP(str_release) struct str again = STR_INIT;

		ck_assert_int_eq(certificate_encode(&c, &again, err), 0);
		ck_assert_uint_eq(again.len, note.n);
		ck_assert_int_eq(memcmp(again.s, note.text, note.n), 0);
	}
	return rc;
}

START_TEST(vectors)
{
	DIR *dir = opendir("tests/vectors");
	struct dirent *entry;
	unsigned int n_good = 0, n_bad = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		int good = strncmp(entry->d_name, "good-", 5) == 0, bad = strncmp(entry->d_name, "bad-", 4) == 0;
		CLEANUP(free_text) char *path = mem_printf("tests/vectors/%s", entry->d_name);
		CLEANUP(free_text) char *bytes = NULL;
		struct err err = { 0 };
		size_t n;

		if ((!good && !bad) || strstr(entry->d_name, ".note") == NULL)
			continue;
		bytes = slurp(path, &n);
		if (good)
			ck_assert_msg(judge(bytes, n, &err) == 0, "%s refused: %s", path, err.msg);
		else
			ck_assert_msg(judge(bytes, n, &err) == -1 && err.code == ERR_FAILED, "%s accepted", path);
		/* what is wrong with the text must be found there, not by a signature that does not fit */
		if (bad && strncmp(entry->d_name, "bad-signature", 13) != 0 && strcmp(entry->d_name, "bad-carriage-returns.note") != 0)
			ck_assert_msg(strstr(err.msg, "certificate") != NULL, "%s: %s", path, err.msg);
		n_good += good ? 1 : 0;
		n_bad += bad ? 1 : 0;
	}
	(void)closedir(dir);
	ck_assert_uint_ge(n_good, 10);
	ck_assert_uint_ge(n_bad, 80);
}
END_TEST

START_TEST(an_account_takes_two_approvers)
{
	static const char second[] = "approver: expunge_approver none\n";
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	struct err err = { 0 };
	size_t n;
	CLEANUP(free_text) char *bytes = slurp("tests/vectors/good-closure-keys-destroyed.note", &n);
	char *end = strstr(bytes, "\n\n"), *line = strstr(bytes, second);

	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(certificate_parse(bytes, (size_t)(end + 1 - bytes), &c, &err), 0);
	certificate_release(&c);
	(void)memmove(line, line + strlen(second), (size_t)(end + 1 - line) - strlen(second));
	ck_assert_int_eq(certificate_parse(bytes, (size_t)(end + 1 - bytes) - strlen(second), &c, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "approver must be there twice"));
}
END_TEST

START_TEST(example_is_good)
{
	struct err err = { 0 };
	size_t n;
	CLEANUP(free_text) char *bytes = slurp(EXAMPLE, &n);

	ck_assert_msg(judge(bytes, n, &err) == 0, "%s", err.msg);
}
END_TEST

START_TEST(every_truncation_is_bad)
{
	size_t n, text_n;
	CLEANUP(free_text) char *bytes = slurp(EXAMPLE, &n);

	for (size_t i = 0; i < n; i += stride())
		ck_assert_msg(judge(bytes, i, NULL) == -1, "cut at %zu", i);
	text_n = (size_t)(strstr(bytes, "\n\n") + 1 - bytes);
	for (size_t i = 0; i <= text_n; i++) {
		CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;

		ck_assert_msg(certificate_parse(bytes, i, &c, NULL) == (i == text_n ? 0 : -1), "text cut at %zu", i);
		ck_assert_msg(i == text_n || (c.id == NULL && c.live == NULL), "left something at %zu", i);
	}
}
END_TEST

START_TEST(every_flipped_bit_is_bad)
{
	size_t n;
	CLEANUP(free_text) char *bytes = slurp(EXAMPLE, &n);

	for (size_t i = 0; i < 8 * n; i += stride()) {
		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << i % 8));
		ck_assert_msg(judge(bytes, n, NULL) == -1, "bit %zu of byte %zu", i % 8, i / 8);
		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << i % 8));
	}
}
END_TEST

/* What is still taken after a byte went, came or changed is another certificate, written just so; bytes that
 * mean something to the parser are tried. */
static void
alter_each_byte(const char *text, size_t n)
{
	static const char other[] = " \n%0";
	char *altered = mem_zero(n + 1, 1);

	for (size_t i = 0; i < n; i += stride())
		for (size_t k = 0; k <= sizeof(other); k++) {
			CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
			CLEANUP(str_release) struct str again = STR_INIT;
			bool shorter = k == sizeof(other);
			size_t m = n - shorter;

			(void)memcpy(altered, text, i);
			if (!shorter)
				altered[i] = other[k];
			(void)memcpy(altered + i + !shorter, text + i + 1, n - i - 1);
			if (certificate_parse(altered, m, &c, NULL) != 0)
				continue;
			ck_assert_int_eq(certificate_encode(&c, &again, NULL), 0);
			ck_assert_msg(again.len == m && memcmp(again.s, altered, m) == 0, "byte %zu", i);
		}
	free(altered);
}

START_TEST(every_altered_byte_is_bad_or_another_certificate)
{
	static const char *const names[] = { "good-hostile-table-name", "good-closure-keys-destroyed", "good-backup-expiry",
		"good-rows-left-with-exclusions", "good-final-after-interim" };
	CLEANUP(free_text) char *path = mem_printf("tests/vectors/%s.note", names[_i]);
	CLEANUP(free_text) char *bytes = slurp(path, NULL);

	alter_each_byte(bytes, (size_t)(strstr(bytes, "\n\n") + 1 - bytes));
}
END_TEST

/* Each line away, and each line twice. */
START_TEST(every_line_has_its_place)
{
	CLEANUP(free_text) char *bytes = slurp(EXAMPLE, NULL);
	char *end = strstr(bytes, "\n\n") + 1;

	*end = '\0';
	for (char *line = bytes; line < end; line = strchr(line, '\n') + 1) {
		size_t n = (size_t)(strchr(line, '\n') + 1 - line);
		CLEANUP(free_text) char *twice = mem_printf("%.*s%.*s%s", (int)(line - bytes), bytes, (int)n, line, line);
		CLEANUP(free_text) char *without = mem_printf("%.*s%s", (int)(line - bytes), bytes, line + n);
		CLEANUP(certificate_release) struct certificate a = CERTIFICATE_INIT;
		CLEANUP(certificate_release) struct certificate b = CERTIFICATE_INIT;
		/* of these there may be several, or none: another certificate */
		bool listed = strncmp(line, "approver: ", 10) == 0 || strncmp(line, "retained: ", 10) == 0 ||
			strncmp(line, "out-of-scope: ", 14) == 0;
		bool optional = strncmp(line, "identified: ", 12) == 0 || strncmp(line, "live: ", 6) == 0;

		ck_assert_msg(listed || optional || certificate_parse(without, strlen(without), &a, NULL) == -1,
			"without %.*s", (int)n, line);
		ck_assert_msg(listed || certificate_parse(twice, strlen(twice), &b, NULL) == -1, "twice %.*s", (int)n, line);
	}
}
END_TEST

#define SAME_TEXT(field) ck_assert_pstr_eq(a.field, b.field)
#define SAME_NUMBER(field) ck_assert_int_eq((int64_t)a.field, (int64_t)b.field)

START_TEST(parsed_equals_encoded)
{
	CLEANUP(certificate_release) struct certificate a = sample_certificate();
	CLEANUP(certificate_release) struct certificate b = CERTIFICATE_INIT;
	CLEANUP(str_release) struct str text = STR_INIT;
	struct err err = { 0 };

	ck_assert_msg(certificate_encode(&a, &text, &err) == 0, "%s", err.msg);
	ck_assert_msg(certificate_parse(text.s, text.len, &b, &err) == 0, "%s\n%s", err.msg, text.s);
	SAME_NUMBER(serial); SAME_TEXT(id); SAME_NUMBER(kind); SAME_NUMBER(stage); SAME_NUMBER(interim_serial);
	SAME_NUMBER(outcome); SAME_TEXT(controller); SAME_TEXT(processor); SAME_TEXT(subject_ref); SAME_TEXT(ground);
	SAME_TEXT(received); SAME_TEXT(identified); SAME_TEXT(due); SAME_TEXT(decided); SAME_TEXT(cooling_off_from);
	SAME_TEXT(cooling_off_until); SAME_TEXT(executed); SAME_TEXT(zone); SAME_TEXT(plan); SAME_TEXT(holds_at);
	SAME_NUMBER(n_approvers); SAME_NUMBER(n_live); SAME_NUMBER(n_retained); SAME_NUMBER(n_residuals);
	for (size_t i = 0; i < a.n_approvers; i++) {
		SAME_TEXT(approvers[i].role); SAME_TEXT(approvers[i].key_check);
	}
	for (size_t i = 0; i < a.n_live; i++) {
		SAME_TEXT(live[i].table); SAME_NUMBER(live[i].before); SAME_NUMBER(live[i].removed);
		SAME_NUMBER(live[i].masked); SAME_NUMBER(live[i].retained); SAME_NUMBER(live[i].arrived);
		SAME_NUMBER(live[i].after); SAME_NUMBER(live[i].created);
	}
	SAME_TEXT(as_of); SAME_TEXT(as_of_lsn);
	SAME_TEXT(retained[0].class); SAME_TEXT(retained[0].basis); SAME_TEXT(retained[0].until);
	SAME_NUMBER(keys.destroyed); SAME_NUMBER(keys.n_fingerprints); SAME_TEXT(keys.fingerprints[0]);
	SAME_NUMBER(keys.epoch_before); SAME_NUMBER(keys.epoch_after); SAME_NUMBER(keys.shares_destroyed);
	SAME_NUMBER(keys.shares); SAME_NUMBER(keys.n_drivers); SAME_TEXT(keys.drivers[0]); SAME_TEXT(keys.drivers[1]);
	SAME_NUMBER(generations_unreadable); SAME_TEXT(residuals[0].name); SAME_TEXT(residuals[0].until);
	SAME_NUMBER(residuals[0].basis); SAME_NUMBER(n_undeclared); SAME_TEXT(undeclared[0].kind); SAME_NUMBER(undeclared[0].n);
	SAME_NUMBER(n_aged_out);
	SAME_NUMBER(told); SAME_NUMBER(acknowledged); SAME_NUMBER(pending); SAME_NUMBER(recount); SAME_NUMBER(control);
	SAME_NUMBER(closure); SAME_NUMBER(negative_drill); SAME_NUMBER(positive_drill); SAME_NUMBER(level);
	SAME_NUMBER(n_out_of_scope); SAME_TEXT(out_of_scope[3]); SAME_TEXT(tool.version); SAME_TEXT(tool.commit);
	SAME_TEXT(tool.program); SAME_TEXT(tool.openssl); SAME_TEXT(tool.config); SAME_TEXT(tool.map);
	SAME_NUMBER(tool.database);
}
END_TEST

static void
replace(char **field, const char *text)
{
	free(*field);
	*field = mem_copy(text);
}

/* each makes one thing wrong; the error must name the field */
#define WRONG(name, statement) static void name(struct certificate *c) { statement; }
WRONG(serial, c->serial = 0)
WRONG(id, replace(&c->id, "xyz"))
WRONG(id_null, replace(&c->id, NULL))
WRONG(kind_unset, c->kind = (enum certificate_kind)0)
WRONG(kind_beyond, c->kind = (enum certificate_kind)6)
WRONG(stage_unset, c->stage = (enum certificate_stage)0)
WRONG(interim_in_interim, c->interim_serial = 3)
WRONG(outcome_unset, c->outcome = (enum certificate_outcome)0)
WRONG(outcome_completed, c->outcome = CERTIFICATE_COMPLETED)
WRONG(controller_null, replace(&c->controller, NULL))
WRONG(controller_line_feed, replace(&c->controller, "a\nserial: 9"))
WRONG(controller_bidi, replace(&c->controller, "a\xe2\x80\xae" "b"))
WRONG(processor_not_utf8, replace(&c->processor, "a\xff"))
WRONG(processor_trailing_space, replace(&c->processor, "a "))
WRONG(ref_null, replace(&c->subject_ref, NULL))
WRONG(ref_bare, replace(&c->subject_ref, "41c7"))
WRONG(ground_null, replace(&c->ground, NULL))
WRONG(ground_other, replace(&c->ground, "UK-GDPR-28(3)(g)"))
WRONG(received_null, replace(&c->received, NULL))
WRONG(received_late, replace(&c->received, "2026-09-15T00:00:00Z"))
WRONG(due_date, replace(&c->due, "2026-10-05"))
WRONG(decided_early, replace(&c->decided, "2026-09-03T09:00:00Z"))
WRONG(executed_null, replace(&c->executed, NULL))
WRONG(zone_null, replace(&c->zone, NULL))
WRONG(cooling_off, replace(&c->cooling_off_from, "2026-09-03T09:00:00Z"))
WRONG(approvers_none, c->approvers[0].role[0] = '\0')
WRONG(approver_check, replace(&c->approvers[0].key_check, "none"))
WRONG(plan_null, replace(&c->plan, NULL))
WRONG(holds_late, replace(&c->holds_at, "2026-09-14T01:15:10Z"))
WRONG(live_sum, c->live[0].removed++)
WRONG(live_negative, c->live[1].removed = -1; c->live[1].before = 1)
WRONG(live_overflow, c->live[0].before = INT64_MAX; c->live[0].arrived = 1)
WRONG(live_name, replace(&c->live[0].table, ""))
WRONG(live_not_utf8, replace(&c->live[0].table, "a\xc3"))
WRONG(live_order, replace(&c->live[0].table, "zzz"))
WRONG(live_recount, c->recount = CERTIFICATE_NOT_RUN)
WRONG(lsn, replace(&c->as_of_lsn, "3A7F2C8"))
WRONG(lsn_long, replace(&c->as_of_lsn, "0/123456789"))
WRONG(as_of_early, replace(&c->as_of, "2026-09-14T01:15:06Z"))
WRONG(retained_basis, replace(&c->retained[0].basis, NULL))
WRONG(retained_until, replace(&c->retained[0].until, "2026-02-29"))
WRONG(keys_fingerprint, replace(&c->keys.fingerprints[0], "FF"))
WRONG(keys_epoch, c->keys.epoch_after = 118)
WRONG(keys_shares, c->keys.shares = 1)
WRONG(keys_count, c->keys.destroyed = 0)
WRONG(residual_final, c->stage = CERTIFICATE_FINAL)
WRONG(residual_date, replace(&c->residuals[0].until, "soon"))
WRONG(residual_name, replace(&c->residuals[0].name, ""))
WRONG(residual_stated, c->residuals[0].basis = CERTIFICATE_STATED)
WRONG(residual_basis_unset, c->residuals[0].basis = (enum certificate_basis)0)
WRONG(undeclared_kind, replace(&c->undeclared[0].kind, "a b"))
WRONG(undeclared_none, c->undeclared[0].n = 0)
/* one list or the other: the certificate is interim because of something, and a final one says what it waited for */
WRONG(interim_of_nothing, c->n_residuals = 0; c->n_undeclared = 0)
WRONG(undeclared_final, c->n_residuals = 0; c->stage = CERTIFICATE_FINAL)

/* The sample as the final one that follows, for what is wrong in those. */
static void
make_final(struct certificate *c)
{
	c->aged_out = c->residuals;
	c->n_aged_out = c->n_residuals;
	c->residuals = NULL;
	c->n_residuals = 0;
	free(c->undeclared[0].kind);
	c->n_undeclared = 0;
	c->stage = CERTIFICATE_FINAL;
	c->interim_serial = 3;
	c->level = CERTIFICATE_AGED_OUT;
}
WRONG(aged_out_of_nothing, make_final(c); c->interim_serial = 0; c->n_aged_out = 0)
WRONG(final_of_nothing, make_final(c); c->level = CERTIFICATE_VACUUMED; c->n_aged_out = 0)
WRONG(aged_out_without_serial, make_final(c); c->interim_serial = 0)
WRONG(aged_out_basis_unset, make_final(c); c->aged_out[0].basis = (enum certificate_basis)4)
WRONG(aged_out_date, make_final(c); replace(&c->aged_out[0].until, "2026-13-01"))
WRONG(generations, c->generations_unreadable = -1)
WRONG(recipients, c->acknowledged = 4)
WRONG(check_unset, c->closure = (enum certificate_check_result)0)
WRONG(level_unset, c->level = (enum certificate_level)0)
WRONG(level_aged_out, c->level = CERTIFICATE_AGED_OUT)
WRONG(scope_text, replace(&c->out_of_scope[0], ""))
WRONG(scope_claim, replace(&c->out_of_scope[0], "now UNRECOVERABLE"))
WRONG(version, replace(&c->tool.version, "0.1.0; x"))
WRONG(program, replace(&c->tool.program, NULL))
WRONG(database, c->tool.database = 0)

static const struct {
	void (*spoil)(struct certificate *c);
	const char *field;
} wrongs[] = {
	{ serial, "serial" }, { id, "id" }, { id_null, "id" }, { kind_unset, "kind" }, { kind_beyond, "kind" },
	{ stage_unset, "stage" }, { interim_in_interim, "interim-serial" }, { outcome_unset, "outcome" },
	{ outcome_completed, "outcome" }, { controller_null, "controller" }, { controller_line_feed, "controller" },
	{ controller_bidi, "controller" }, { processor_not_utf8, "processor" },
	{ processor_trailing_space, "processor" }, { ref_null, "subject-ref" }, { ref_bare, "subject-ref" },
	{ ground_null, "ground" }, { ground_other, "ground" }, { received_null, "received" },
	{ received_late, "received" }, { due_date, "due" }, { decided_early, "received" },
	{ executed_null, "executed" }, { zone_null, "zone" }, { cooling_off, "cooling-off" },
	{ approvers_none, "approver" }, { approver_check, "approver" }, { plan_null, "plan" },
	{ holds_late, "as-of" }, { live_sum, "live" }, { live_negative, "live" }, { live_overflow, "live" },
	{ live_name, "live" }, { live_not_utf8, "live" }, { live_order, "live" }, { live_recount, "verification" },
	{ lsn, "as-of" }, { lsn_long, "as-of" }, { as_of_early, "as-of" }, { retained_basis, "retained" },
	{ retained_until, "retained" }, { keys_fingerprint, "keys" }, { keys_epoch, "keys" },
	{ keys_shares, "keys" }, { keys_count, "keys" }, { residual_final, "stage" }, { residual_date, "archives" },
	{ residual_name, "archives" }, { residual_stated, "archives" }, { residual_basis_unset, "archives" },
	{ undeclared_kind, "archives" }, { undeclared_none, "archives" }, { interim_of_nothing, "stage" },
	{ undeclared_final, "stage" }, { aged_out_of_nothing, "level" }, { final_of_nothing, "interim-serial" },
	{ aged_out_without_serial, "interim-serial" }, { aged_out_basis_unset, "archives" }, { aged_out_date, "archives" },
	{ generations, "archives" }, { recipients, "recipients" }, { check_unset, "verification" },
	{ level_unset, "level" }, { level_aged_out, "level" }, { scope_text, "out-of-scope" },
	{ scope_claim, "unrecoverable" }, { version, "tool" }, { program, "tool" }, { database, "tool" },
};

START_TEST(wrong_field_is_refused_and_named)
{
	CLEANUP(certificate_release) struct certificate c = sample_certificate();
	CLEANUP(str_release) struct str text = STR_INIT;
	struct err err = { 0 };

	ck_assert_int_eq(certificate_encode(&c, &text, &err), 0);
	str_clear(&text);
	wrongs[_i].spoil(&c);
	ck_assert_msg(certificate_encode(&c, &text, &err) == -1, "accepted: %s", wrongs[_i].field);
	ck_assert_msg(strstr(err.msg, wrongs[_i].field) != NULL, "%s not in: %s", wrongs[_i].field, err.msg);
	ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(small_helpers)
{
	char name[CERTIFICATE_FILE_NAME_SIZE];
	CLEANUP(free_text) char *ground = certificate_ground("17-1-g");
	CLEANUP(free_text) char *openssl = certificate_openssl_version("OpenSSL 3.0.19 27 Jan 2026");
	CLEANUP(str_release) struct str text = STR_INIT;

	certificate_file_name(412, "5b1f0c9d27e84a6fb3a2c81e90d7f645", name);
	ck_assert_str_eq(name, "00000412-5b1f0c9d27e84a6fb3a2c81e90d7f645.note");
	certificate_file_name(INT64_MAX, "5b1f0c9d27e84a6fb3a2c81e90d7f645", name);
	ck_assert_str_eq(name, "9223372036854775807-5b1f0c9d27e84a6fb3a2c81e90d7f645.note");
	ck_assert_str_eq(ground, "UK-GDPR-17(1)(g)");
	ck_assert_ptr_null(certificate_ground("17-1-h"));
	ck_assert_ptr_null(certificate_ground("17-1-bb"));
	ck_assert_ptr_null(certificate_ground(""));
	ck_assert_str_eq(openssl, "3.0.19");
	certificate_add_name(&text, "app.a b%\n\xc3\xbc\xe2\x80\xae\x7f");
	ck_assert_str_eq(text.s, "app.a%20b%25%0A\xc3\xbc%E2%80%AE%7F");
	str_clear(&text);
	certificate_add_name(&text, "cut\xe2\x80");
	ck_assert_str_eq(text.s, "cut%E2%80");
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("certificate");

	tcase_add_test(tests, example_is_good);
	tcase_add_test(tests, vectors);
	tcase_add_test(tests, an_account_takes_two_approvers);
	tcase_add_test(tests, every_truncation_is_bad);
	tcase_add_test(tests, every_flipped_bit_is_bad);
	tcase_add_loop_test(tests, every_altered_byte_is_bad_or_another_certificate, 0, 5);
	tcase_add_test(tests, every_line_has_its_place);
	tcase_add_test(tests, parsed_equals_encoded);
	tcase_add_loop_test(tests, wrong_field_is_refused_and_named, 0, (int)(sizeof(wrongs) / sizeof(wrongs[0])));
	tcase_add_test(tests, small_helpers);
	return run_suite("certificate", tests);
}
