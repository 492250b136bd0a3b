/* leaf_probe CONFIG CONNINFO TENANT SUBJECT...: makes a leaf key for each, as a backup does, and prints whether it lives. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "keys/keys.h"
#include "keys/leaf.h"

int
main(int argc, char **argv)
{
	static const char *const states[] = { "absent", "living", "shredded" };
	struct db_options options = { .name = "expunge probe", .connect_timeout_s = 10, .lock_timeout_ms = 1000 };
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct config *config = NULL;
	struct ledger *ledger = NULL;
	struct instance instance;
	struct db *db = NULL;
	struct err err = { 0 };
	int failed;

	options.conninfo = argv[2];
	failed = config_load(&config, argv[1], &problems, &err) != 0 || db_open(&db, &options, &err) != 0 ||
		guard_instance(db, &instance, &err) != 0 || ledger_open(&ledger, config, &err) != 0 ||
		keys_open(&keys, config, instance.id, false, &problems, &err) != 0 ||
		keyring_open(&ring, db, keys.store, instance.id, &err) != 0;
	for (int i = 4; i < argc && !failed; i++) {
		char hash[80];
		const struct leaf_names names = { argv[3], "subject", (const char *const[]){ argv[i] }, (const char *const[]){ hash }, 1 };
		struct leaf leaf;

		failed = ledger_subject_hash(ledger, argv[3], argv[i], hash, &err) != 0 || leaf_take(&ring, &names, LEAF_MAKE, &leaf, &err) != 0;
		if (!failed)
			printf("%s\n", states[leaf.state]);
		leaf_wipe(&leaf, 1);
	}
	if (failed)
		(void)fprintf(stderr, "%s%s\n", str_cstr(&problems), err.msg);
	keyring_close(&ring);
	db_close(db);
	ledger_close(ledger);
	config_free(config);
	return failed ? 1 : 0;
}
