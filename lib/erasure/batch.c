#include "erasure/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/contact.h"
#include "erasure/documents.h"
#include "erasure/pace.h"
#include "map/collect.h"
#include "query.h"
#include "svc/crypt.h"

void
batch_release(struct batch *batch)
{
	db_result_free(batch->claimed);
	free(batch->ids);
	free(batch->rows);
	*batch = (struct batch){ 0 };
}

void
batch_id_array(const struct batch *batch, struct str *array)
{
	str_clear(array);
	plan_id_array(array, batch->ids, batch->n);
}

static bool
is_test(const struct batch *batch, int row)
{
	return strcmp(db_get_text(batch->claimed, row, C_KIND), "test-subject") == 0;
}

/* Keeps as many of the claimed as fit a batch: rows bounded, a subject once, a round of its own for
 * what is removed after a first removal, test subjects by themselves. At least one. */
static void
choose(struct batch *batch, int64_t max_rows)
{
	int n = db_rows(batch->claimed);
	int64_t rows = 0;

	batch->ids = mem_zero((size_t)n, sizeof(*batch->ids));
	batch->rows = mem_zero((size_t)n, sizeof(*batch->rows));
	batch->n = 0;
	for (int i = 0; i < n; i++) {
		bool fits = true;

		for (size_t j = 0; j < batch->n && fits; j++)
			fits = strcmp(db_get_text(batch->claimed, i, C_TENANT), db_get_text(batch->claimed, batch->rows[j], C_TENANT)) != 0 ||
				strcmp(db_get_text(batch->claimed, i, C_SUBJECT), db_get_text(batch->claimed, batch->rows[j], C_SUBJECT)) != 0;
		fits = fits && (batch->n == 0 || (is_test(batch, i) == batch->test && rows + db_get_int(batch->claimed, i, C_N_ROWS) <= max_rows &&
			batch->round == 0 && db_get_int(batch->claimed, i, C_ROUND) == 0));
		if (!fits)
			continue;
		if (batch->n == 0) {
			batch->round = (int)db_get_int(batch->claimed, i, C_ROUND);
			batch->test = is_test(batch, i);
		}
		rows += db_get_int(batch->claimed, i, C_N_ROWS);
		batch->ids[batch->n] = db_get_text(batch->claimed, i, C_ID);
		batch->rows[batch->n++] = i;
	}
	batch->n_chosen = batch->n;
}

int
batch_claim(struct run *run, struct batch *batch, size_t limit, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", limit);
	if (db_query(run->db, &QUERY_REQUEST_CLAIM, DB_PARAMS(text, run->skip, run->id), &batch->claimed, err) != 0)
		return -1;
	choose(batch, pace_rows(run, config_int(run->config, SET_BATCH_ROWS)));
	if (batch->n == 0)
		return 0;
	batch_id_array(batch, &array);
	if (db_query(run->db, &QUERY_REQUEST_LOCK_TENANTS, DB_PARAMS(array.s), NULL, err) != 0)
		return -1;
	return db_query(run->db, &QUERY_REQUEST_RUNNING, DB_PARAMS(array.s), NULL, err);
}

/* Takes one request out of the batch: what was collected is forgotten, its state says why. */
static int
drop(struct run *run, struct batch *batch, size_t i, const char *reason, struct err *err)
{
	CLEANUP(str_release) struct str one = STR_INIT;
	char round[16];

	(void)snprintf(round, sizeof(round), "%d", batch->round);
	plan_id_array(&one, &batch->ids[i], 1);
	if (db_query(run->db, &QUERY_KEY_SET_DROP, DB_PARAMS(one.s, round), NULL, err) != 0 ||
	    db_query(run->db, &QUERY_REQUEST_SET_STATE, DB_PARAMS(one.s, "blocked", reason, "running"), NULL, err) != 0)
		return -1;
	run->n_blocked++;
	run_note(run, NOTE_WARNING, "request %s: blocked (%s)", batch->ids[i], reason);
	batch->n--;
	(void)memmove(&batch->ids[i], &batch->ids[i + 1], (batch->n - i) * sizeof(batch->ids[0]));
	(void)memmove(&batch->rows[i], &batch->rows[i + 1], (batch->n - i) * sizeof(batch->rows[0]));
	return 0;
}

static int
drop_listed(struct run *run, struct batch *batch, const struct db_result *listed, const char *reason, struct err *err)
{
	for (int h = 0; h < db_rows(listed); h++)
		for (size_t i = 0; i < batch->n; i++)
			if (strcmp(batch->ids[i], db_get_text(listed, h, 0)) == 0) {
				if (drop(run, batch, i, reason, err) != 0)
					return -1;
				break;
			}
	return 0;
}

int
batch_find_doubtful(struct run *run, const char *requests, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	const struct map *map = run->map;

	str_add(&sql, "SELECT DISTINCT r.id FROM expunge.request r JOIN expunge.hold h ON h.released_at IS NULL"
		" WHERE r.id = ANY($1) AND (h.tenant = r.tenant AND h.subject IS NOT NULL AND NOT EXISTS (SELECT FROM ");
	sql_from(&sql, run->program, map->subject, "t");
	str_addf(&sql, " WHERE t.%s::text = h.subject",
		program_cat(run->program, map->subject)->columns[map->subject_key_column].quoted);
	if (map->subject_tenant_column >= 0)
		str_addf(&sql, " AND t.%s::text = h.tenant",
			program_cat(run->program, map->subject)->columns[map->subject_tenant_column].quoted);
	str_add(&sql, ") OR (NOT ");
	sql_is_tenant(&sql, run->program, "h.tenant");
	/* one that is gone with its account is known */
	str_add(&sql, " AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = h.tenant AND c.claimed_at IS NOT NULL)))");
	return db_text(run->db, DB_MANY, sql.s, 1, DB_PARAMS(requests), ret, err);
}

int
batch_find_late_hold(struct run *run, const char *request, const char **ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *held = NULL;
	CLEANUP(db_result_freep) struct db_result *doubtful = NULL;
	CLEANUP(str_release) struct str one = STR_INIT;
	int subject = run->map->subject;
	char table[16], via[16];

	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	plan_id_array(&one, &request, 1);
	if (db_query(run->db, &QUERY_REQUEST_HELD, DB_PARAMS(one.s, table, via), &held, err) != 0 ||
	    batch_find_doubtful(run, one.s, &doubtful, err) != 0)
		return -1;
	*ret = NULL;
	if (db_rows(held) > 0)
		*ret = "a hold was placed after the removal";
	else if (db_rows(doubtful) > 0)
		*ret = "a hold names no known subject or tenant; correct or release it (expunge hold list)";
	return 0;
}

static int
drop_doubtful(struct run *run, struct batch *batch, const char *requests, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *doubtful = NULL;

	if (batch_find_doubtful(run, requests, &doubtful, err) != 0)
		return -1;
	return drop_listed(run, batch, doubtful, "hold: a hold names no known subject or tenant; correct or release it (expunge hold list)", err);
}

/* Holds, read inside the transaction and over all aliases. */
static int
drop_held(struct run *run, struct batch *batch, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *held = NULL;
	int subject = run->map->subject;
	char table[16], via[16];

	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	batch_id_array(batch, &array);
	if (db_query(run->db, &QUERY_REQUEST_HELD, DB_PARAMS(array.s, table, via), &held, err) != 0 ||
	    drop_listed(run, batch, held, "hold", err) != 0)
		return -1;
	return batch->n == 0 ? 0 : drop_doubtful(run, batch, array.s, err);
}

/* Nobody has approved these but the consent under which they were made, and that holds while nobody has used them. */
static int
drop_touched(struct run *run, struct batch *batch, const char *requests, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *touched = NULL;

	if (contact_find(run, run->db, requests, &touched, err) != 0)
		return -1;
	for (int t = 0; t < db_rows(touched); t++)
		for (size_t i = 0; i < batch->n; i++)
			if (strcmp(batch->ids[i], db_get_text(touched, t, 0)) == 0) {
				if (drop(run, batch, i, db_get_text(touched, t, 1), err) != 0)
					return -1;
				break;
			}
	return 0;
}

static bool
names_line(const char *document, const char *key, const char *value)
{
	CLEANUP(free_text) char *line = mem_printf("\n%s: %s\n", key, value);

	return strstr(document, line) != NULL;
}

/* What was there when the approval was given, and is not now, may lie on a disk that nobody sees; it is not gone. */
static bool
misses_more(const struct plan *plan, const char *document)
{
	for (size_t i = 0; i < plan->n_files; i++) {
		CLEANUP(free_text) char *start = mem_printf("\nmissing: %s ", plan->files[i].kind);
		const char *line = strstr(document, start);

		if (plan->files[i].n_missing > (line == NULL ? 0 : strtoll(line + strlen(start), NULL, 10)))
			return true;
	}
	return false;
}

/* Why this plan is not what was approved; NULL when it is. */
static const char *
judge(struct run *run, const struct batch *batch, size_t i, const struct plan *plan)
{
	CLEANUP(str_release) struct str now = STR_INIT;
	CLEANUP(str_release) struct str then = STR_INIT;
	const char *document = db_get_text(batch->claimed, batch->rows[i], C_DOCUMENT);
	const char *approved = db_get_text(batch->claimed, batch->rows[i], C_APPROVED);
	char hash[72];

	if (crypt_sha256_text(document, strlen(document), hash, NULL) != 0 || strcmp(hash, approved) != 0)
		return "the plan is not the one that was approved";
	if (!names_line(document, "map", run->map->hash) || !names_line(document, "schema", run->program->schema_hash)) {
		run->refused = true;
		return "map or schema changed since the approval: look at the new plan and approve it";
	}
	plan_rows_text(plan, run->program, &now);
	plan_rows_of_document(document, &then);
	if (plan->n_rows == 0)
		return "the subject is not there any more";
	if (strcmp(str_cstr(&now), str_cstr(&then)) != 0)
		return "new rows: the rows are not those that were approved";
	if (misses_more(plan, document))
		return "files that were there at the approval are missing: is it the disk that is meant?";
	if (plan->obstacles.len > 0 && strstr(plan->obstacles.s, " files ") != NULL)
		return "files that rows which stay name too, or that are no regular files in their directory";
	return plan->obstacles.len > 0 ? "rows that belong to another subject too" : NULL;
}

/* Plans again under lock and keeps only the requests whose rows are those that were approved. */
int
batch_plan_again(struct run *run, struct batch *batch, struct plans *plans, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;

	batch_id_array(batch, &array);
	if (collect_subjects(run->program, run->db, COLLECT_LOCKED, array.s, batch->round, err) != 0)
		return -1;
	if (batch->test && drop_touched(run, batch, array.s, err) != 0)
		return -1;
	if (batch->n == 0)
		return 0;
	batch_id_array(batch, &array);
	if (plan_read(run->program, run->db, batch->ids, batch->n, batch->round, false, plans, err) != 0 ||
	    documents_plan(run, array.s, batch->round, plans, err) != 0)
		return -1;
	for (size_t i = 0, p = 0; i < batch->n; p++) {
		const char *reason = judge(run, batch, i, &plans->items[p]);

		if (reason == NULL)
			i++;
		else if (drop(run, batch, i, reason, err) != 0)
			return -1;
	}
	return batch->n == 0 ? 0 : drop_held(run, batch, err);
}
