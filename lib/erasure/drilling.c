#include "erasure/drilling.h"

#include "base/cleanup.h"
#include "keys/keyring.h"
#include "keys/keys.h"
#include "query.h"

/* While another run changes the root there are two of them, for a good reason: it is waited for. */
static int
drill(struct run *run, bool *ret_opened, struct err *err)
{
	CLEANUP(keys_close) struct keys keys = { 0 };
	int failed;

	if (keys_open(&keys, run->config, run->instance.id, false, NULL, err) != 0)
		return -1;
	if (keyring_lock(run->db, false, err) != 0)
		return err_prefix(err, "waiting for the keys");
	failed = keys_run_drill(&keys, ret_opened, err);
	keyring_unlock(run->db, false);
	return failed;
}

int
drilling_carry_out(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *there = NULL;
	struct err why = { 0 };
	bool opened = false;

	if (!keys_declared(run->config))
		return 0;
	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &there, err) != 0)
		return -1;
	if (!db_get_bool(there, 0, 0))
		return 0;
	if (drill(run, &opened, &why) == 0)
		return db_query(run->db, &QUERY_DRILL_RECORD, DB_PARAMS("drill-passed", opened ? NULL : KEYS_DRILL_UNTRIED), NULL, err);
	run->drill_failed = true;
	run->n_failed++;
	run_note(run, NOTE_ERROR, "nothing is certified: %s", why.msg);
	if (why.hint[0] != '\0')
		run_note(run, NOTE_ERROR, "hint: %s", why.hint);
	return db_query(run->db, &QUERY_DRILL_RECORD, DB_PARAMS("drill-failed", why.msg), NULL, err);
}
