/*
 * The erasure ledger. Each line of the input becomes an entry with the right mac; one that begins with
 * '?' loses its line end. One that begins with '!' goes into the file as it is, without a line end if it
 * ends in '!'. '^' stands for NUL.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "erasure/ledger.h"
#include "fuzz.h"
#include "svc/crypt.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define LINES_MAX 64

static void
add_counted(struct str *text, const char *field)
{
	uint8_t length[4];

	bytes_put_u32(length, (uint32_t)strlen(field));
	str_add_n(text, (const char *)length, sizeof(length));
	str_add(text, field);
}

/* the chain as lib/erasure/ledger.h states it */
static void
chain(const char *line, char *mac)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct secret key = SECRET_INIT;
	uint8_t hash[SHA256_SIZE];

	secret_new(&key, 32);
	add_counted(&text, "expunge/ledger-chain/v1");
	add_counted(&text, mac);
	add_counted(&text, line);
	REQUIRE(crypt_hmac_sha256(&key, text.s, text.len, hash, NULL) == 0);
	bytes_to_hex(hash, sizeof(hash), mac);
	secret_erase(&key);
}

static void
compose(struct str *file, char *input)
{
	char mac[65] = "";
	char *rest = input;

	for (int i = 0; rest != NULL && i < LINES_MAX; i++) {
		char *line = fuzz_piece(&rest, '\n');
		size_t n = strlen(line);

		if (line[0] == '!' && n > 1 && line[n - 1] == '!')
			str_add_n(file, line + 1, n - 2);
		else if (line[0] == '!')
			str_addf(file, "%s\n", line + 1);
		else {
			bool whole = line[0] != '?';

			chain(line + !whole, mac);
			str_addf(file, "%s %s%s", line + !whole, mac, whole ? "\n" : "");
		}
	}
}

static const struct config *
config_with_key(void)
{
	static struct config *config;

	if (config == NULL) {
		const char *directory = getenv("FUZZ_DIRECTORY");
		CLEANUP(free_text) char *ledger = mem_printf("%s/ledger", directory);
		CLEANUP(free_text) char *text = mem_printf(
			"database : { conninfo = \"dbname=x\"; }; map = \"/map\"; state_directory = \"/state\";\n"
			"ledger_directory = \"%s\"; certificate_directory = \"/certificates\";\n"
			"issuer : { name = \"x\"; key = \"/key\"; }; processor = \"x\";\n"
			"caps : { subjects_per_run = 1; tenants_per_run = 1; rows_per_run = 1; tenant_share_percent = 1; };\n", ledger);
		CLEANUP(free_text) char *path = fuzz_file("ledger.conf", text, strlen(text));
		CLEANUP(free_text) char *key = NULL;
		CLEANUP(str_release) struct str problems = STR_INIT;

		(void)mkdir(ledger, 0700);
		key = fuzz_file("ledger/key", ZEROS "\n", strlen(ZEROS "\n"));
		if (config_load(&config, path, &problems, NULL) != 0)
			(void)fputs(str_cstr(&problems), stderr);
		REQUIRE(config != NULL);
	}
	return config;
}

int
fuzz_ledger(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *input = fuzz_text(data, n);
	CLEANUP(str_release) struct str file = STR_INIT;
	CLEANUP(free_text) char *path = NULL;
	CLEANUP(ledger_closep) struct ledger *ledger = NULL;
	const struct config *config = config_with_key();
	int64_t before = -1, after = -1;
	struct err err = { 0 };
	bool good;

	compose(&file, input);
	for (size_t i = 0; i < file.len; i++)
		file.s[i] = file.s[i] == '^' ? '\0' : file.s[i];
	path = fuzz_file("ledger/erasures", str_cstr(&file), file.len);
	REQUIRE(ledger_open(&ledger, config, &err) == 0);
	good = ledger_verify(ledger, &before, &err) == 0;
	if (ledger_end(ledger, "batch", true, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && !good);
		return 0;
	}
	/* an entry more, and what was wrong before it stays to be seen */
	REQUIRE((ledger_verify(ledger, &after, &err) == 0) == good);
	REQUIRE(!good || after == before + 1);
	return 0;
}
