/* keys: what is known of the key tree; a fresh root by hand. drill: whether what should open opens, and what should not does not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive/drill.h"
#include "archive/receiver.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "jobs/job.h"
#include "keys/anchor.h"
#include "keys/keys.h"
#include "keys/lineage.h"
#include "keys/signer_file.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/clock.h"
#include "sys/log.h"

static int
open_keys(const struct job *job, const char *instance, struct keys *ret, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;

	if (!keys_declared(job->config)) {
		(void)err_set(err, ERR_USAGE, "keys.shares are not declared: there is no key tree");
		return err_hint(err, "see keys.shares and archives.destinations in %s, then run expunge init", config_path(job->config));
	}
	if (keys_open(ret, job->config, instance, false, &problems, err) == 0)
		return 0;
	(void)fputs(str_cstr(&problems), stderr);
	return -1;
}

/* column of key_status */
#define STATUS_CHANGE_WAITS 5

/* ---- keys status -------------------------------------------------------------------------------- */

/* One answer in two forms: json NULL prints a line at once. */
struct shown {
	struct json *json;
	int n_bad;
};

static void
show_text(const struct shown *s, const char *name, const char *text)
{
	if (s->json != NULL)
		json_set_text(s->json, name, text);
	else
		printf("%-18s%s\n", name, text == NULL ? "none" : text);
}

static void
show_int(const struct shown *s, const char *name, int64_t n)
{
	if (s->json != NULL)
		json_set_int(s->json, name, n);
	else
		printf("%-18s%" PRId64 "\n", name, n);
}

/* A list in JSON, a line each in text. */
static void
show_lines(const struct shown *s, const char *name, const struct str *lines)
{
	struct json *list = s->json == NULL ? NULL : json_new_array();
	CLEANUP(free_text) char *text = mem_copy(str_cstr(lines));

	if (list == NULL && text[0] == '\0')
		show_text(s, name, "all good");
	for (char *line = text, *end; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end != '\0')
			*end++ = '\0';
		if (list == NULL)
			show_text(s, name, line);
		else
			json_push_text(list, line);
	}
	if (list != NULL)
		json_set(s->json, name, list);
}

static int
show_tree(struct job *job, struct shown *s, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_KEY_STATUS, NULL, &res, err) != 0)
		return -1;
	for (int c = 0; c < db_columns(res); c++)
		if (db_column_type(res, c) == DB_TYPE_INTEGER && db_get(res, 0, c) != NULL)
			show_int(s, db_column_name(res, c), db_get_int(res, 0, c));
		else
			show_text(s, db_column_name(res, c), db_get(res, 0, c));
	s->n_bad += db_get(res, 0, STATUS_CHANGE_WAITS) != NULL;
	return 0;
}

/* One line a replica that needs a person. */
static void
show_places(const struct keys *keys, const struct root_id *root, struct shown *s)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	CLEANUP(secret_erase) struct secret unused = SECRET_INIT;
	CLEANUP(str_release) struct str warnings = STR_INIT;
	CLEANUP(str_release) struct str lines = STR_INIT;
	CLEANUP(str_release) struct str drivers = STR_INIT;
	CLEANUP(free_text) char *verdict_text = NULL;
	struct err why = { 0 };
	enum root_verdict verdict;

	if (root_read(keys->store, root, &unused, &verdict, &report, &why) != 0)
		verdict_text = mem_printf("%s: %s", root_verdict_text(verdict), why.msg);
	show_text(s, "root", verdict_text != NULL ? verdict_text : root_verdict_text(verdict));
	show_int(s, "shares", root_shares(keys->store));
	for (uint32_t share = 1; share <= root_shares(keys->store); share++)
		str_addf(&drivers, "%s%s", share > 1 ? ", " : "", root_share_driver(keys->store, share));
	show_text(s, "drivers", str_cstr(&drivers));
	root_report_add_text(&report, &lines);
	root_device_warnings(keys->store, &warnings);
	show_lines(s, "places", &lines);
	show_lines(s, "devices", &warnings);
	s->n_bad += (int)root_report_problems(&report);
}

static void
show_journal(const struct journal *journal, const struct keyring_state *state, struct shown *s, struct json *list)
{
	struct json *one = list == NULL ? NULL : json_new_object();
	int64_t base = 0, last = 0;
	struct journal_head head;
	struct err why = { 0 };
	bool found = false, bad;
	const char *text;

	bad = journal_verify(journal, &base, &last, &why) != 0 || journal_head(journal, &head, &found, &why) != 0;
	text = bad ? why.msg : head.header.key_seq < state->key_seq ? "behind: the next run brings it up to date" : "whole and up to date";
	s->n_bad += bad;
	if (one == NULL) {
		printf("%-18s%s: %s\n", "journal", journal->directory, text);
		return;
	}
	json_set_text(one, "directory", journal->directory);
	if (!bad) {
		json_set_int(one, "base", base);
		json_set_int(one, "last", last);
	}
	json_set_text(one, "state", text);
	json_push(list, one);
}

static void
show_journals(const struct keys *keys, const struct keyring_state *state, struct shown *s)
{
	struct json *list = s->json == NULL ? NULL : json_new_array();

	for (size_t i = 0; i < keys->n_journals; i++)
		show_journal(&keys->journals[i], state, s, list);
	if (list != NULL)
		json_set(s->json, "journals", list);
}

/* They have no journal. */
static void
show_commands(const struct config *config, const struct shown *s)
{
	struct json *list = s->json == NULL ? NULL : json_new_array();
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(config, i)) != NULL; i++) {
		bool fetches = receiver_program(receiver, RECEIVER_FETCH) != NULL, removes = receiver_program(receiver, RECEIVER_REMOVE) != NULL;
		struct json *one;

		if (list == NULL) {
			printf("%-18s%s: %s%s%s\n", "command", receiver_name(receiver), receiver_program(receiver, RECEIVER_STORE),
				fetches ? "" : ", gives nothing back", removes ? "" : ", removes nothing");
			continue;
		}
		one = json_new_object();
		json_set_text(one, "name", receiver_name(receiver));
		json_set_text(one, "store", receiver_program(receiver, RECEIVER_STORE));
		json_set_bool(one, "fetches", fetches);
		json_set_bool(one, "removes", removes);
		json_push(list, one);
	}
	if (list != NULL)
		json_set(s->json, "commands", list);
}

static void
show_anchor(const struct keys *keys, const struct keyring_state *state, struct shown *s)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	CLEANUP(free_text) char *text = NULL;
	enum anchor_verdict verdict;
	struct err why = { 0 };

	if (anchor_read(keys->roots.anchor, keys->instance, &anchor, &verdict, &why) != 0)
		text = mem_copy(why.msg);
	else if (anchor.epoch != state->root.epoch)
		text = mem_printf("it knows of epoch %" PRId64, anchor.epoch);
	s->n_bad += text != NULL;
	show_text(s, "anchor", text != NULL ? text : "good");
}

static int
run_status(struct job *job, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct instance instance;
	struct shown s = { 0 };

	if (guard_instance(job->db, &instance, err) != 0 || open_keys(job, instance.id, &keys, err) != 0 ||
	    keyring_state(job->db, &state, err) != 0)
		return -1;
	if (state.root.epoch == 0) {
		(void)err_set(err, ERR_FAILED, "there is no key tree in this database");
		return err_hint(err, "expunge init makes it");
	}
	s.json = job_flag(job, "json") ? json_new_object() : NULL;
	if (show_tree(job, &s, err) != 0) {
		json_free(s.json);
		return -1;
	}
	show_places(&keys, &state.root, &s);
	show_journals(&keys, &state, &s);
	show_commands(job->config, &s);
	show_anchor(&keys, &state, &s);
	job->exit_code = s.n_bad > 0 ? 3 : 0;
	return s.json == NULL ? 0 : json_print(stdout, s.json, err);
}

/* ---- keys rotate, drill ------------------------------------------------------------------------- */

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

static int
run_rotate(struct job *job, struct err *err)
{
	CLEANUP(ledger_closep) struct ledger *ledger = NULL;
	CLEANUP(str_release) struct str notes = STR_INIT; /* the change itself needs every place, and says which is away */
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct instance instance;
	struct root_id root;

	if (guard_freeze(job->db, job->config, err) != 0 || guard_instance(job->db, &instance, err) != 0 ||
	    open_keys(job, instance.id, &keys, err) != 0 || ledger_open(&ledger, job->config, err) != 0)
		return -1;
	if (job_flag(job, "dry-run")) {
		printf("would make a fresh root in %" PRIu32 " shares and destroy the present one\n", root_shares(keys.store));
		return 0;
	}
	if (lineage_enter(&keys, job->db, &notes, err) != 0 ||
	    keys_shred(&keys, job->db, &(struct shred_set){ 0 }, hash_name, ledger, &root, err) != 0)
		return -1;
	printf("epoch %" PRId64 "\n", root.epoch);
	return 0;
}

static int n_opened; /* archives, by this drill */

static void
tell_opened(const char *path, int64_t created)
{
	char text[21];

	clock_text(created, text);
	log_info("journal and root alone open %s, of %s", path, text);
	n_opened++;
}

static int
carry_drills_out(const struct job *job, bool positive, bool negative, struct err *err)
{
	enum keys_extent extent = job_flag(job, "change") ? KEYS_CHANGE : KEYS_ALL;
	CLEANUP(keys_close) struct keys keys = { 0 };
	char instance[37];
	int64_t pages = 0;

	if (guard_bound_instance(job->config, instance, err) != 0 || open_keys(job, instance, &keys, err) != 0)
		return -1;
	if (positive && (keys_drill_positive(&keys, extent, err) != 0 || archive_drill(&keys, tell_opened, err) != 0))
		return err_prefix(err, "positive drill");
	if (negative && keys_drill_negative(&keys, extent, &pages, err) != 0)
		return err_prefix(err, "negative drill");
	return 0;
}

/* For status. A drill needs no database, and its result stands without one: what is in the way is told. */
static void
record_drill(struct job *job, bool passed, const char *detail)
{
	struct err why = { 0 };

	if (job_bind(job, &why) == 0 &&
	    db_query(job->db, &QUERY_DRILL_RECORD, DB_PARAMS(passed ? "drill-passed" : "drill-failed", detail), NULL, &why) == 0)
		return;
	if (passed)
		log_info("not in the register: %s", why.msg);
	else
		log_warning("not in the register, where expunge status looks: %s", why.msg);
}

/* Half of the drills can fail, but proves too little to end what was recorded as failed. */
static int
run_drill(struct job *job, struct err *err)
{
	bool positive = !job_flag(job, "negative") || job_flag(job, "positive"), negative = !job_flag(job, "positive") || job_flag(job, "negative");
	bool recorded = !job_flag(job, "unrecorded");
	const char *untried;
	struct err why = { 0 };

	n_opened = 0;
	if (carry_drills_out(job, positive, negative, &why) != 0) {
		if (recorded && why.code != ERR_USAGE)
			record_drill(job, false, why.msg);
		*err = why;
		return -1;
	}
	untried = positive && n_opened == 0 ? KEYS_DRILL_UNTRIED : NULL;
	if (!recorded && untried != NULL)
		(void)fprintf(stderr, "%s\n", untried); /* for the run that began us, whatever the log's level is */
	if (recorded && positive && negative && !job_flag(job, "change"))
		record_drill(job, true, untried);
	if (untried == NULL)
		printf("passed\n");
	else
		printf("passed, for the keys; %s\n", untried);
	return 0;
}

static int
run_adopt(struct job *job, struct err *err)
{
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct instance instance;

	if (!job_flag(job, "this-is-primary")) {
		(void)err_set(err, ERR_USAGE, "keys adopt needs --this-is-primary: you say that this database counts, and others are copies");
		return err_hint(err, "a database that was restored from an older copy: expunge restore --adopt");
	}
	if (guard_instance(job->db, &instance, err) != 0 || open_keys(job, instance.id, &keys, err) != 0)
		return -1;
	if (job_flag(job, "dry-run")) {
		printf("would make the places of this instance follow this database\n");
		return 0;
	}
	if (lineage_claim(&keys, job->db, err) != 0)
		return -1;
	printf("this database is the primary\n");
	return 0;
}

static int
run_mark(struct job *job, struct err *err)
{
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct instance instance;
	CLEANUP(str_release) struct str notes = STR_INIT;
	CLEANUP(free_text) char *directory = mem_copy(job->args[0]);
	struct err why = { 0 };
	size_t n = 0;

	/* as the configuration writes it: a shell that completes names adds a slash */
	for (size_t end = strlen(directory); end > 1 && directory[end - 1] == '/'; end--)
		directory[end - 1] = '\0';
	if (guard_instance(job->db, &instance, err) != 0 || open_keys(job, instance.id, &keys, err) != 0 ||
	    keys_mark(&keys, directory, err) != 0)
		return -1;
	printf("marked\n");
	/* another new place may be waiting for its mark; and a restored database does not know which root lives */
	if (lineage_ask(&keys, job->db, &notes, &why) != 0 || keys_heal(&keys, job->db, &n, &why) != 0)
		log_warning("%s", why.msg);
	if (n > 0)
		printf("%zu records of the root written\n", n);
	return 0;
}

static int
run_public(struct job *job, struct err *err)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *pem = NULL;

	if (signer_file_open(&signer, config_text(job->config, SET_ARCHIVES_KEY), "archive key", err) != 0 ||
	    crypt_signer_public_pem(signer, &pem, err) != 0)
		return -1;
	(void)fputs(pem, stdout);
	return 0;
}

static const struct option_row adopt_options[] = {
	{ "this-is-primary", NULL, "this database counts, and others are copies of it; required", NULL },
	OPTION_DRY_RUN,
	OPTION_END
};
static const struct option_row status_options[] = { OPTION_JSON, OPTION_END };
static const struct option_row rotate_options[] = { OPTION_DRY_RUN, OPTION_END };
static const struct option_row drill_options[] = {
	{ "positive", NULL, "only what must open: with journal and root alone, what the last change has left, and an archive", NULL },
	{ "negative", NULL, "only what must not: no root that is held opens what an earlier one did", NULL },
	{ "change", NULL, "of the journals only what the last change has to do with, as a change itself does", NULL },
	{ "unrecorded", NULL, "leave the register, which status reads, as it is", NULL },
	OPTION_END,
};

const struct command keys_commands[] = {
	{ "keys status", "epoch, root shares, journals and anchor of the key tree", "", 0, 0, NEEDS_BINDING, status_options, run_status,
	  "Exit code 3 when something needs a person: a replica, a journal, the anchor, or\n"
	  "a barrier that a change of the root waits at." },
	{ "keys rotate", "make a fresh root and destroy the present one", "", 0, 0, NEEDS_BINDING, rotate_options, run_rotate,
	  "Every backup of the root shares is worthless afterwards. Needs all places of keys.shares and all\n"
	  "destinations; killed anywhere, the next run goes on with it." },
	{ "keys public", "print the public key that archives and key journals are verified with", "", 0, 0, NEEDS_CONFIG, NULL, run_public,
	  "PEM, for whoever reads an archive without this program (doc/open-archive.py). The public key of\n"
	  "certificates is issuer.pem, beside them." },
	{ "keys mark", "say that a directory of keys.shares, or a destination, is new", "DIRECTORY", 1, 1, NEEDS_BINDING, NULL, run_mark,
	  "For a new disk in the place of a lost one: a directory without its mark is taken for one that is not\n"
	  "mounted. A share is copied from another replica, if there is one; a destination gets a whole journal\n"
	  "from the next run." },
	{ "keys adopt", "after a promotion, or where a copy has run: this database is the one that counts", "", 0, 0, NEEDS_BINDING,
		adopt_options, run_adopt,
	  "Anchor and key journals follow it from then on, and the other one is refused. Refused itself where it\n"
	  "is behind them: a restored database is brought up to date by restore --adopt." },
	{ "drill", "prove that what should open opens, and that the past does not", "", 0, 0, NEEDS_CONFIG, drill_options, run_drill,
	  "Reads the places of keys.shares, the journals, and one archive in each destination, and needs no database; where\n"
	  "there is one, its register is told: status is red from a drill that failed to the next that passes. A change\n"
	  "of the root runs both drills itself, each in a process of its own, and so does every night." },
	{ 0 }
};
