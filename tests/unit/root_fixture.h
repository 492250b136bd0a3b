/* A root store in a private directory: places s1r1, s1r2, s2r1, ... */
#ifndef EXPUNGE_TESTS_ROOT_FIXTURE_H
#define EXPUNGE_TESTS_ROOT_FIXTURE_H

#include "evidence.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "directory.h"
#include "keys/root.h"

#define INSTANCE "8c8b4b42-2d0e-4b1e-9a57-0d3f6c1f2b11"
#define OTHER_INSTANCE "11111111-2d0e-4b1e-9a57-0d3f6c1f2b11"

static struct root_store *store;
static struct err err;

/* The root of an epoch by the n-th attempt. */
static inline struct root_id
id_of(int64_t epoch, int n)
{
	struct root_id id = { .epoch = epoch };

	(void)snprintf(id.attempt, sizeof(id.attempt), "%032x", (unsigned)n);
	return id;
}

/* A shell command in the directory; true if it ends well. */
static inline bool __attribute__((format(printf, 1, 2)))
shell(const char *fmt, ...)
{
	CLEANUP(free_text) char *what = NULL, *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&what, fmt, ap), 0);
	va_end(ap);
	command = mem_printf("cd %s && { %s; }", directory, what);
	return system(command) == 0;
}

/* A store of this instance; *ret is closed by the caller. */
static inline void
open_as(struct root_store **ret, const char *instance, size_t n_shares, size_t n_replicas)
{
	struct root_config config = { .n = n_shares };

	config.shares = mem_zero(n_shares, sizeof(*config.shares));
	for (size_t i = 0; i < n_shares; i++) {
		config.shares[i].replicas = mem_zero(n_replicas, sizeof(char *));
		config.shares[i].n = n_replicas;
		for (size_t k = 0; k < n_replicas; k++)
			config.shares[i].replicas[k] = mem_printf("%s/s%zur%zu", directory, i + 1, k + 1);
	}
	ck_assert_msg(root_open(ret, &config, instance, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < n_shares; i++) {
		for (size_t k = 0; k < n_replicas; k++)
			free(config.shares[i].replicas[k]);
		free(config.shares[i].replicas);
	}
	free(config.shares);
}

static inline void
start(size_t n_shares, size_t n_replicas)
{
	root_closep(&store);
	open_as(&store, INSTANCE, n_shares, n_replicas);
	ck_assert_msg(root_init(store, &err) == 0, "%s", err.msg);
}

static inline void
create(const struct root_id *id, uint8_t ret[ROOT_SIZE])
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;

	ck_assert_msg(root_create(store, id, &root, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(root.n, ROOT_SIZE);
	if (ret != NULL)
		(void)memcpy(ret, root.bytes, ROOT_SIZE);
}

/* The verdict; a root that is present must be this one (NULL: any). */
static inline enum root_verdict
verdict_of(const struct root_id *id, const uint8_t *want, struct root_report *report)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	enum root_verdict verdict = ROOT_PARTIAL;
	int rc;

	err_clear(&err);
	rc = root_read(store, id, &root, &verdict, report, &err);
	ck_assert((rc == 0) == (verdict == ROOT_PRESENT));
	ck_assert((rc == 0) == (root.n == ROOT_SIZE));
	ck_assert_msg(rc == 0 || (err.msg[0] != '\0' && err.hint[0] != '\0'), "%s (%s)", err.msg, err.hint);
	ck_assert(rc != 0 || want == NULL || memcmp(root.bytes, want, ROOT_SIZE) == 0);
	return verdict;
}

static inline enum root_state
state_of(const struct root_report *report, uint32_t share, uint32_t replica)
{
	for (size_t i = report->n; i > 0; i--)
		if (report->replicas[i - 1].share == share && report->replicas[i - 1].replica == replica)
			return report->replicas[i - 1].state;
	ck_abort_msg("share %u, replica %u is not in the report", share, replica);
	return ROOT_GOOD;
}

#endif
