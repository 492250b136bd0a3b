/*
 * archive_probe: what is in an archive, to whoever has configuration, key tree and database: archive_probe CONFIG CONNINFO
 * TENANT FILE prints "table<TAB>leaf<TAB>row as COPY text" a line. The last line, on standard error, is what was withheld.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/leaf_keys.h"
#include "archive/read.h"
#include "base/cleanup.h"
#include "keys/keys.h"

struct output {
	struct archive *archive;
	const struct leaf_keys *leaves;
	bool in_row;
};

static int
print(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct output *output = ctx;
	const char *bytes = text;

	(void)err;
	for (size_t i = 0; i < n; i++) {
		if (!output->in_row)
			printf("%s\t%lld\t", archive_table(output->archive, table)->name, (long long)frame->leaf);
		output->in_row = bytes[i] != '\n';
		(void)putchar(bytes[i]);
	}
	return 0;
}

static int
give(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	struct output *output = ctx;

	return leaf_keys_give((void *)(uintptr_t)output->leaves, leaf, ret_key, err);
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	struct config *config = NULL;
	struct db *db = NULL;
	struct db_result *instance = NULL;
	struct keys keys;
	struct keyring ring;
	struct leaf_keys leaves;
	struct archive *archive = NULL;
	enum archive_verdict verdict;
	struct archive_tally tally;
	struct output output = { 0 };
	const struct archive_reading reading = { give, print, &output };
	int fd = argc == 5 ? open(argv[4], O_RDONLY) : -1;

	if (fd < 0 || config_load(&config, argv[1], NULL, &err) != 0 ||
	    db_open(&db, &(struct db_options){ .conninfo = argv[2], .name = "probe", .connect_timeout_s = 5, .read_write = true }, &err) != 0 ||
	    db_text(db, DB_ONE, "SELECT id FROM expunge.instance", 0, NULL, &instance, &err) != 0 ||
	    keys_open(&keys, config, db_get_text(instance, 0, 0), false, NULL, &err) != 0 ||
	    keyring_open(&ring, db, keys.store, keys.instance, &err) != 0 || leaf_keys_load(&leaves, &ring, argv[3], &err) != 0 ||
	    archive_open(&archive, fd, (const uint8_t(*)[ED25519_KEY_SIZE])keys.journals[0].public, 1, &verdict, &err) != 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	output = (struct output){ archive, &leaves, false };
	if (leaf_keys_find(&leaves, archive_header(archive)->generation) == NULL ||
	    archive_unlock(archive, leaf_keys_find(&leaves, archive_header(archive)->generation)->key, &verdict, &err) != 0 ||
	    archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) != 0) {
		fprintf(stderr, "%s: %s\n", archive_verdict_text(verdict), err.msg);
		return 1;
	}
	fprintf(stderr, "%llu rows, %llu withheld\n", (unsigned long long)tally.rows, (unsigned long long)tally.withheld_rows);
	archive_close(archive);
	leaf_keys_release(&leaves);
	keyring_close(&ring);
	keys_close(&keys);
	db_result_free(instance);
	db_close(db);
	config_free(config);
	return fflush(stdout) == 0 ? 0 : 1;
}
