/* erasure_fixture: a configuration whose directories are private to one test. */
#ifndef EXPUNGE_TESTS_ERASURE_FIXTURE_H
#define EXPUNGE_TESTS_ERASURE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc/config.h"
#include "svc/crypt.h"
#include "sys/file.h"

static char directory[64];
static struct config *config;
static struct err err;

static inline char *
in_directory(const char *name)
{
	return file_join(directory, name);
}

static inline void
make_config(void)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(free_text) char *text = NULL;
	CLEANUP(free_text) char *path = NULL;
	const char *warning = NULL;

	(void)snprintf(directory, sizeof(directory), "/tmp/expunge-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	err_clear(&err);
	ck_assert_int_eq(crypt_start(&warning, &err), 0);
	path = in_directory("expunge.conf");
	text = mem_printf("database : { conninfo = \"dbname=clinic\"; };\nmap = \"%s/map.conf\";\nstate_directory = \"%s\";\n"
		"ledger_directory = \"%s/ledger\";\ncertificate_directory = \"%s/certificates\";\n"
		"issuer : { name = \"example.org/expunge\"; key = \"%s/issuer.pem\"; };\nprocessor = \"Example Ltd, ICO Z1\";\n"
		"caps : { subjects_per_run = 5; tenants_per_run = 2; rows_per_run = 500; tenant_share_percent = 10; };\n",
		directory, directory, directory, directory, directory);
	ck_assert_int_eq(file_write(path, text, strlen(text), 0600, false, &err), 0);
	ck_assert_msg(config_load(&config, path, &problems, &err) == 0, "%s%s", err.msg, str_cstr(&problems));
}

static inline void
remove_config(void)
{
	static const char *const files[] = { "ledger/erasures", "ledger/key", "ledger/lock", "expunge.conf", "freeze", "certificates" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		CLEANUP(free_text) char *path = in_directory(files[i]);

		if (unlink(path) != 0)
			(void)rmdir(path);
	}
	CLEANUP(free_text) char *ledger = in_directory("ledger");
	(void)rmdir(ledger);
	ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left */
	config_free(config);
}

#endif
