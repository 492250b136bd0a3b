/* check_host: what this host must have: directories, the issuer's key, the ledger and its key. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/ledger.h"
#include "evidence/issuer.h"
#include "jobs/check.h"
#include "sys/file.h"

static void
check_directory(struct checks *checks, const char *what, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		check_add(checks, CHECK_ERROR, what, mem_printf("%s: %s", path, strerror(errno)),
			mem_copy("expunge init makes it; the directory above it must be there and let this user in"));
	else if (!S_ISDIR(st.st_mode))
		check_add(checks, CHECK_ERROR, what, mem_printf("%s is not a directory", path),
			mem_copy("name a directory that is not a symbolic link"));
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		check_add(checks, CHECK_ERROR, what, mem_printf("others may write to %s (mode %04o)", path, (unsigned)(st.st_mode & 07777)),
			mem_printf("chmod go-w %s", path));
	else if (access(path, R_OK | W_OK | X_OK) != 0)
		check_add(checks, CHECK_ERROR, what, mem_printf("this user (uid %u) may not write to %s", (unsigned)geteuid(), path),
			mem_printf("run expunge as the user that owns %s (uid %u)", path, (unsigned)st.st_uid));
	else
		check_add(checks, CHECK_OK, what, mem_copy(path), NULL);
}

/* The published public key must be that of the private one, or nobody can verify what is signed next. */
static void
check_published_key(struct checks *checks, const struct config *config, const struct issuer *issuer)
{
	CLEANUP(free_text) char *path = file_join(config_text(config, SET_CERTIFICATE_DIRECTORY), "issuer.pem");
	CLEANUP(note_key_release) struct note_key published = { 0 };
	struct err err = { 0 };

	if (!file_exists(path))
		check_add(checks, CHECK_WARNING, "issuer key", mem_printf("%s, the public key for those who verify, is missing", path),
			mem_copy("expunge init writes it"));
	else if (issuer_public_key(&published, path, issuer->key.name, &err) != 0)
		check_err(checks, "issuer key", &err);
	else if (memcmp(published.key, issuer->key.key, sizeof(published.key)) != 0)
		check_add(checks, CHECK_ERROR, "issuer key", mem_printf("%s is not the public half of %s", path, config_text(config, SET_ISSUER_KEY)),
			mem_copy("restore the key that signed the certificates so far; a lost one is replaced by expunge init, and issuer.pem moved away first"));
	else
		check_add(checks, CHECK_OK, "issuer key", mem_copy(config_text(config, SET_ISSUER_KEY)), NULL);
}

static void
check_issuer(struct checks *checks, const struct config *config)
{
	CLEANUP(free_text) char *bound = file_join(config_text(config, SET_STATE_DIRECTORY), "instance");
	struct issuer issuer = ISSUER_INIT;
	struct err err = { 0 };

	if (issuer_open(&issuer, config_text(config, SET_ISSUER_KEY), config_text(config, SET_ISSUER_NAME), &err) != 0) {
		/* before the first init there is no backup of it */
		if (!file_exists(config_text(config, SET_ISSUER_KEY)) && !file_exists(bound))
			(void)err_hint(&err, "run expunge init, which makes it");
		check_err(checks, "issuer key", &err);
		return;
	}
	check_published_key(checks, config, &issuer);
	issuer_release(&issuer);
}

static void
check_ledger(struct checks *checks, const struct config *config)
{
	CLEANUP(ledger_closep) struct ledger *ledger = NULL;
	struct err err = { 0 };
	int64_t n = 0;

	if (ledger_open(&ledger, config, &err) != 0) {
		check_err(checks, "ledger key", &err);
		return;
	}
	if (ledger_verify(ledger, &n, &err) == 0) {
		check_add(checks, CHECK_OK, "ledger", mem_printf("%lld entries, an unbroken chain", (long long)n), NULL);
		return;
	}
	(void)err_hint(&err, "restore the ledger and its key from their backup; keep the damaged file for the inquiry");
	check_err(checks, "ledger", &err);
}

void
check_host(struct checks *checks, const struct config *config)
{
	if (geteuid() == 0)
		check_add(checks, CHECK_WARNING, "user", mem_copy("this is root"), mem_copy("run expunge as a user of its own"));
	check_directory(checks, "state_directory", config_text(config, SET_STATE_DIRECTORY));
	check_directory(checks, "ledger_directory", config_text(config, SET_LEDGER_DIRECTORY));
	check_directory(checks, "certificate_directory", config_text(config, SET_CERTIFICATE_DIRECTORY));
	check_issuer(checks, config);
	check_ledger(checks, config);
}
