#include "keys/barrier.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/stop.h"

#define PAUSE_US 250000
#define NOWHERE "0/0" /* a position that everybody has passed */

/* columns of barrier_standby and barrier_archive */
enum { B_THERE, B_PASSED, B_STANDING, B_WARNING, B_REMEDY };

struct barrier {
	bool of_standby;
	const char *name; /* of a standby or its slot; "": every synchronous one */
	int64_t seconds;
};

static bool
barrier_at(const struct config *config, size_t n, struct barrier *ret)
{
	const struct conf_node *list = config_list(config, SET_KEYS_BARRIERS), *node;

	if (list == NULL || n >= conf_count(list))
		return false;
	node = conf_at(list, n);
	ret->of_standby = strcmp(conf_text(conf_member(node, "kind")), "standby") == 0;
	ret->name = conf_text(conf_member(node, "name"));
	if (ret->name == NULL)
		ret->name = "";
	ret->seconds = conf_int(conf_member(node, "timeout_seconds"));
	return true;
}

static int
ask(const struct barrier *barrier, struct db *db, const char *position, struct db_result **ret, struct err *err)
{
	char seconds[24];

	if (barrier->of_standby)
		return db_query(db, &QUERY_BARRIER_STANDBY, DB_PARAMS(position, barrier->name), ret, err);
	(void)snprintf(seconds, sizeof(seconds), "%lld", (long long)barrier->seconds);
	return db_query(db, &QUERY_BARRIER_ARCHIVE, DB_PARAMS(position, seconds), ret, err);
}

int
barrier_ready(const struct config *config, struct db *db, struct err *err)
{
	struct barrier barrier;

	for (size_t i = 0; barrier_at(config, i, &barrier); i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (ask(&barrier, db, NOWHERE, &res, err) != 0)
			return -1;
		if (db_get_bool(res, 0, B_THERE))
			continue;
		(void)err_set(err, ERR_REFUSED, "the root is not changed, keys.barriers could not be passed: %s", db_get_text(res, 0, B_STANDING));
		return err_hint(err, "bring it back, or take the barrier out of keys.barriers; expunge check shows each");
	}
	return 0;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* The row says what is waited for, for whoever looks before the next run. */
static int
give_up(struct db *db, const char *attempt, const char *standing, int64_t seconds, struct err *err)
{
	struct err unused = { 0 };

	(void)db_query(db, &QUERY_BARRIER_WAITING, DB_PARAMS(attempt, standing), NULL, &unused);
	if (stop_asked())
		(void)err_set(err, ERR_WAITS, "asked to stop while a change of the root waits at a barrier: %s", standing);
	else
		(void)err_set(err, ERR_WAITS, "a change of the root has waited %lld seconds at a barrier: %s", (long long)seconds, standing);
	return err_hint(err, "the old root is in its places and nothing was destroyed or certified; backups wait. Mend what is named, and the "
		"next run (or expunge keys rotate) goes on with the change; see keys.barriers");
}

static int
wait_for(const struct barrier *barrier, struct db *db, const char *attempt, const char *position, int64_t since, struct err *err)
{
	bool switched = barrier->of_standby;

	for (;;) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (ask(barrier, db, position, &res, err) != 0)
			return -1;
		if (db_get_bool(res, 0, B_PASSED))
			return 0;
		if (clock_ms() - since >= barrier->seconds * 1000 || stop_asked())
			return give_up(db, attempt, db_get_text(res, 0, B_STANDING), barrier->seconds, err);
		/* a segment is archived when it is full: an idle server would never come to that */
		if (!switched && db_query(db, &QUERY_BARRIER_SWITCH, NULL, NULL, err) != 0)
			return -1;
		switched = true;
		(void)usleep(PAUSE_US);
	}
}

int
barrier_pass(const struct config *config, struct db *db, const char *attempt, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *position = NULL;
	int64_t since = clock_ms();
	struct barrier barrier;

	for (size_t i = 0; barrier_at(config, i, &barrier); i++) {
		if (position == NULL && db_query(db, &QUERY_BARRIER_POSITION, DB_PARAMS(attempt), &position, err) != 0)
			return -1;
		if (db_rows(position) == 0)
			return err_set(err, ERR_FAILED, "change of the root %s is not in state journalled", attempt);
		if (wait_for(&barrier, db, attempt, db_get_text(position, 0, 0), since, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- looking ------------------------------------------------------------------------------------ */

void
barrier_look_release(struct barrier_look *look)
{
	str_release(&look->standing);
	str_release(&look->warning);
	str_release(&look->remedy);
}

int
barrier_look(const struct config *config, struct db *db, size_t n, struct barrier_look *ret, bool *ret_any, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct barrier barrier;

	*ret = (struct barrier_look){ 0 };
	*ret_any = barrier_at(config, n, &barrier);
	if (!*ret_any)
		return 0;
	if (ask(&barrier, db, NOWHERE, &res, err) != 0)
		return -1;
	ret->there = db_get_bool(res, 0, B_THERE);
	str_add(&ret->standing, db_get_text(res, 0, B_STANDING));
	str_add(&ret->warning, db_get_text(res, 0, B_WARNING));
	str_add(&ret->remedy, db_get_text(res, 0, B_REMEDY));
	return 0;
}
