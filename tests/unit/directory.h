/* A private directory for one test, gone at its end. */
#ifndef EXPUNGE_TESTS_DIRECTORY_H
#define EXPUNGE_TESTS_DIRECTORY_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"

static char directory[] = "/tmp/expunge-unit.XXXXXX";

/* "directory/name"; the caller frees. */
static inline char *
in_directory(const char *name)
{
	return file_join(directory, name);
}

static inline void
directory_make(void)
{
	(void)strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static inline void
directory_remove(void)
{
	CLEANUP(free_text) char *command = mem_printf("rm -rf -- %s", directory);

	ck_assert_int_eq(system(command), 0);
}

#endif
