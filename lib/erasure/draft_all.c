#include "erasure/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/workers.h"
#include "query.h"
#include "sys/tasks.h"

/* Requests planned in one transaction. */
#define CHUNK 100
/* Requests listed at once, however many there are. */
#define PAGE 2000
#define PAGE_TEXT "2000"

/* What the workers of one run share. */
struct wanted {
	const struct db_result *requests; /* plan_wanted */
	int next;
};

struct chunk {
	const char *requests[CHUNK];
	struct draft drafts[CHUNK];
	size_t n;
	bool alone; /* rows were collected before: an order of its own */
};

/* The next requests that can be planned together; none: there are no more. */
static void
take_chunk(struct wanted *wanted, struct chunk *ret)
{
	ret->n = 0;
	tasks_lock();
	while (wanted->next < db_rows(wanted->requests) && ret->n < CHUNK) {
		bool alone = db_get_bool(wanted->requests, wanted->next, 1);

		if (ret->n > 0 && (alone || ret->alone))
			break;
		ret->alone = alone;
		ret->requests[ret->n++] = db_get_text(wanted->requests, wanted->next++, 0);
	}
	tasks_unlock();
}

static void
tell(struct run *run, const char *request, const struct draft *draft)
{
	run_note(run, draft->obstacles.len > 0 ? NOTE_WARNING : NOTE_INFO, "request %s: planned %lld rows, %s%s", request,
		(long long)draft->n_rows, draft->hash, draft->obstacles.len > 0 ? ", with obstacles" : "");
}

static bool
is_fatal(const struct err *err)
{
	return err->code == ERR_LOST || err->code == ERR_UNKNOWN || err->code == ERR_REFUSED;
}

/* One bad request never stops the others. */
static int
draft_one(struct run *run, const char *request, struct err *err)
{
	CLEANUP(draft_release) struct draft draft = { 0 };

	if (draft_plan(run, request, true, &draft, err) == 0) {
		tell(run, request, &draft);
		return 0;
	}
	if (is_fatal(err))
		return -1;
	if (err->code != ERR_RETRY)
		run->n_failed++;
	run_note(run, err->code == ERR_RETRY ? NOTE_INFO : NOTE_ERROR, "planning request %s: %s", request, err->msg);
	err_clear(err);
	return 0;
}

static bool
is_listed(const struct db_result *listed, const char *request)
{
	for (int i = 0; i < db_rows(listed); i++)
		if (strcmp(db_get_text(listed, i, 0), request) == 0)
			return true;
	return false;
}

/* All of a chunk at once; one by one when something is the matter with any of them. */
static int
draft_chunk(struct run *run, struct chunk *chunk, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *kept = NULL;
	bool together = chunk->n > 1 && draft_many(run, chunk->requests, chunk->n, chunk->drafts, &kept, err) == 0;
	int failed = 0;

	if (!together && is_fatal(err))
		return -1;
	for (size_t i = 0; i < chunk->n && failed == 0; i++) {
		if (!together) {
			err_clear(err);
			failed = run_stop_asked(run) ? 0 : draft_one(run, chunk->requests[i], err);
		} else if (is_listed(kept, chunk->requests[i]))
			tell(run, chunk->requests[i], &chunk->drafts[i]);
		else
			run_note(run, NOTE_INFO, "planning request %s: it was decided while it was planned", chunk->requests[i]);
	}
	return failed;
}

static int
draft_chunks(struct run *run, void *ctx, struct err *err)
{
	struct chunk *chunk = mem_zero(1, sizeof(*chunk));
	int failed = 0;

	while (failed == 0 && !run_stop_asked(run)) {
		take_chunk(ctx, chunk);
		if (chunk->n == 0)
			break;
		failed = draft_chunk(run, chunk, err);
		for (size_t i = 0; i < chunk->n; i++)
			draft_release(&chunk->drafts[i]);
	}
	free(chunk);
	return failed;
}

int
draft_all(struct run *run, struct err *err)
{
	char due_on[24] = "-infinity", id[37] = "00000000-0000-0000-0000-000000000000";
	int n;

	do {
		CLEANUP(db_result_freep) struct db_result *open = NULL;
		struct wanted wanted = { 0 };

		if (db_query(run->db, &QUERY_PLAN_WANTED, DB_PARAMS(PAGE_TEXT, due_on, id), &open, err) != 0)
			return -1;
		n = db_rows(open);
		if (n > 0) {
			(void)snprintf(id, sizeof(id), "%s", db_get_text(open, n - 1, 0));
			(void)snprintf(due_on, sizeof(due_on), "%s", db_get_text(open, n - 1, 2));
		}
		wanted.requests = open;
		if (workers_run(run, (n + CHUNK - 1) / CHUNK, draft_chunks, &wanted, err) != 0)
			return -1;
	} while (n == PAGE && !run_stop_asked(run));
	return 0;
}
