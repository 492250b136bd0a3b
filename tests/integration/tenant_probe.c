/* tenant_probe CONFIG CONNINFO TENANT...: shreds these tenants as a whole, with journals and anchor, and leaves the drills to
 * the program. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "keys/keys.h"
#include "keys/lineage.h"

struct probe {
	struct db *db;
	struct ledger *ledger;
	struct keys keys;
};

static int
hash(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	const struct probe *probe = ctx;

	return ledger_subject_hash(probe->ledger, tenant, name, ret, err);
}

static int
write_journals(void *ctx, const struct root_id *root, struct err *err)
{
	const struct probe *probe = ctx;

	(void)root;
	return keys_journal(&probe->keys, probe->db, false, err);
}

static int
write_anchor(void *ctx, const struct root_id *root, struct err *err)
{
	const struct probe *probe = ctx;

	(void)root;
	return lineage_write_anchor(&probe->keys, probe->db, err);
}

int
main(int argc, char **argv)
{
	struct db_options options = { .name = "expunge probe", .connect_timeout_s = 10, .lock_timeout_ms = 1000, .conninfo = argv[2] };
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct shred_set set = { .tenants = (const char *const *)argv + 3, .n_tenants = (size_t)argc - 3 };
	struct config *config = NULL;
	struct instance instance;
	struct probe probe = { 0 };
	struct shred shred = { .instance = probe.keys.instance, .ctx = &probe, .hash = hash, .journal = write_journals, .drill = write_anchor };
	struct err err = { 0 };
	int failed;

	failed = config_load(&config, argv[1], &problems, &err) != 0 || db_open(&probe.db, &options, &err) != 0 ||
		guard_instance(probe.db, &instance, &err) != 0 || ledger_open(&probe.ledger, config, &err) != 0 ||
		keys_open(&probe.keys, config, instance.id, false, &problems, &err) != 0;
	shred.db = probe.db;
	shred.store = probe.keys.store;
	failed = failed || shred_all(&shred, &set, NULL, &err) != 0;
	if (failed)
		(void)fprintf(stderr, "%s%s\n", str_cstr(&problems), err.msg);
	shred_release(&shred);
	keys_close(&probe.keys);
	db_close(probe.db);
	ledger_close(probe.ledger);
	config_free(config);
	return failed ? 1 : 0;
}
