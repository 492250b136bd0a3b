/* purge_dormant: the purge of an account whose rows are sealed, and not in the live database any more. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "erasure/purge_private.h"
#include "query.h"
#include "svc/crypt.h"

int
purge_plan_dormant(const struct purge *purge, const char *closure, struct purge_plan *plan, bool *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *archives = NULL;
	CLEANUP(db_result_freep) struct db_result *sealed = NULL;
	CLEANUP(purge_counts_release) struct purge_counts counts = { 0 };
	struct db *db = purge->run->db;

	if (db_query(db, &QUERY_DORMANCY_SEALED, DB_PARAMS(closure), &archives, err) != 0 ||
	    db_query(db, &QUERY_DORMANCY_PLANNED, DB_PARAMS(closure), &sealed, err) != 0)
		return -1;
	*ret = db_rows(archives) > 0;
	if (!*ret)
		return 0;
	purge_counts_make(&counts, purge);
	for (int i = 0; i < db_rows(archives); i++)
		str_addf(&plan->document, "sealed: %s %s\n", db_get_text(archives, i, 0), db_get_text(archives, i, 1));
	for (int i = 0; i < db_rows(sealed); i++) {
		int table = program_table_by_id(purge->program, (int)db_get_int(sealed, i, 0));

		if (table >= 0)
			counts.all[table] += db_get_int(sealed, i, 1);
		else
			str_addf(&plan->obstacles, "blocker: %s rows %" PRId64 " are sealed, and the data map has the table no more\n",
				db_get_text(sealed, i, 2), db_get_int(sealed, i, 1));
	}
	purge_plan_rows(purge, counts.all, plan);
	return 0;
}

/* A page of their hashes, which is written as it is: what of it is not done is done again. */
static int
write_page(const struct purge_removal *removal, char after[129], int *ret_n, struct err *err)
{
	struct ledger *ledger = removal->purge->run->ledger;
	CLEANUP(db_result_freep) struct db_result *subjects = NULL;
	char id[37];

	if (db_query(removal->purge->run->db, &QUERY_DORMANCY_SUBJECTS, DB_PARAMS(removal->closure, after), &subjects, err) != 0)
		return -1;
	*ret_n = db_rows(subjects);
	for (int i = 0; i < *ret_n; i++) {
		if (crypt_uuid(id, err) != 0)
			return -1;
		ledger_intent_hashed(ledger, id, db_get_text(subjects, i, 0), db_get_text(subjects, i, 1));
		(void)snprintf(after, 129, "%s", db_get_text(subjects, i, 2));
	}
	if (crypt_uuid(id, err) != 0 || ledger_write(ledger, id, err) != 0)
		return -1;
	return ledger_end(ledger, id, true, err);
}

/* Their rows left long ago; that they are never to come back is decided now. */
int
purge_tell_dormant(const struct purge_removal *removal, struct err *err)
{
	const struct purge *purge = removal->purge;
	struct ledger *ledger = purge->run->ledger;
	CLEANUP(db_result_freep) struct db_result *archives = NULL;
	char after[129] = "";
	int n = 0;

	if (db_query(purge->run->db, &QUERY_DORMANCY_SEALED, DB_PARAMS(removal->closure), &archives, err) != 0)
		return -1;
	if (db_rows(archives) == 0)
		return 0;
	ledger_forget(ledger);
	if (ledger_intent(ledger, removal->closure, removal->tenant, purge->map->tables[purge->tenant].name, removal->tenant, "", err) != 0)
		return -1;
	do
		if (write_page(removal, after, &n, err) != 0)
			return -1;
	while (n > 0);
	return 0;
}
