/*
 * Faults on demand: the test program defines functions of libc or OpenSSL itself, so that the library
 * under test calls them, and lets one call after the other fail. A fault that an operation does not
 * report is found however deep it sits.
 */
#ifndef EXPUNGE_TESTS_FAULTS_H
#define EXPUNGE_TESTS_FAULTS_H

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct operation {
	const char *name;
	void (*prepare)(void); /* may be NULL */
	int (*run)(struct err *err);
	void (*judge)(bool done, const char *fault); /* what must hold afterwards; fault: the call that failed, or NULL */
};

static int calls_left = -1; /* calls to let through before one fails; -1: none fails */
static const char *at_fault;
static int fault_errno = EIO;

/* True when this call is the one to fail. */
static inline bool
fails(const char *name)
{
	if (calls_left < 0 || calls_left-- > 0)
		return false;
	at_fault = name;
	errno = fault_errno;
	return true;
}

/* The function that ours hides. */
#define REAL(name)                                                     \
	static __typeof__(name) *real;                                 \
                                                                       \
	if (real == NULL)                                              \
	real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Runs it with the first call failing, with the second, ... until none is left to fail. */
static inline void
fail_each_call(const struct operation *operation)
{
	for (int n = 0; n < 1000; n++) {
		struct err err = { 0 };
		int rc;

		if (operation->prepare != NULL)
			operation->prepare();
		at_fault = NULL;
		calls_left = n;
		rc = operation->run(&err);
		calls_left = -1;
		if (at_fault == NULL) {
			ck_assert_msg(n > 0, "%s makes no call that could fail", operation->name);
			ck_assert_msg(rc == 0, "%s: %s", operation->name, err.msg);
		} else
			ck_assert_msg(rc == -1 && err.msg[0] != '\0', "%s: call %d, %s, failed unnoticed", operation->name, n + 1, at_fault);
		if (operation->judge != NULL)
			operation->judge(at_fault == NULL, at_fault);
		if (at_fault == NULL)
			return;
	}
	ck_abort_msg("%s does not come to an end", operation->name);
}

#endif
