/*
 * claim_probe CONFIG CONNINFO ROUNDS: claims the accounts 1 to ROUNDS as a run does, each in one transaction with what the
 * application's table says, when race.wait_for('claim', 'back', n) lets it; what came of it goes into race.result.
 */
#include <stdio.h>
#include <stdlib.h>

#include "account/subscriptions.h"
#include "base/cleanup.h"
#include "query.h"

static const char run[] = "00000000-0000-0000-0000-000000000001";
static const char hash[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

static int
claim(struct db *db, const struct subscriptions *subscriptions, const char *tenant, struct err *err)
{
	const char *says;

	return db_begin(db, err) != 0 || subscriptions_say(subscriptions, db, tenant, &says, err) != 0 ||
			db_query(db, &QUERY_CLOSURE_CLAIM, DB_PARAMS(tenant, run, hash, says), NULL, err) != 0 || db_commit(db, err) != 0
		? -1 : 0;
}

static int
one_round(struct db *db, const struct subscriptions *subscriptions, const char *tenant, struct err *err)
{
	struct err why = { 0 };
	bool won;

	if (db_text(db, DB_ONE, "SELECT race.wait_for('claim', 'back', $1::integer) IS NULL", 1, DB_PARAMS(tenant), NULL, err) != 0)
		return -1;
	won = claim(db, subscriptions, tenant, &why) == 0;
	if (db_in_transaction(db))
		db_rollback(db);
	return db_text(db, DB_NONE, "INSERT INTO race.result VALUES ('claim', $1, $2)", 2, DB_PARAMS(tenant, won ? "won" : why.msg), NULL, err);
}

int
main(int argc, char **argv)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(subscriptions_release) struct subscriptions subscriptions = { 0 };
	struct config *config = NULL;
	struct db *db = NULL;
	struct err err = { 0 };
	int failed;

	if (argc != 4)
		return 2;
	struct db_options options = { .conninfo = argv[2], .user = "night", .name = "expunge probe", .connect_timeout_s = 10,
		.lock_timeout_ms = 10000, .read_write = true };

	failed = config_load(&config, argv[1], &problems, &err) != 0 || db_open(&db, &options, &err) != 0 ||
		subscriptions_open(&subscriptions, config, db, &err) != 0;
	for (long i = 1; !failed && i <= strtol(argv[3], NULL, 10); i++) {
		char tenant[24];

		(void)snprintf(tenant, sizeof(tenant), "%ld", i);
		failed = one_round(db, &subscriptions, tenant, &err) != 0;
	}
	if (failed)
		(void)fprintf(stderr, "%s%s\n", str_cstr(&problems), err.msg);
	db_close(db);
	config_free(config);
	return failed;
}
