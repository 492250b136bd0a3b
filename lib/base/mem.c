#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* LCOV_EXCL_START: a process that ends by _exit() writes no counters; test_base.c sees its exit code */
static void __attribute__((noreturn))
out_of_memory(void)
{
	static const char msg[] = "expunge: out of memory; nothing unfinished was kept\n";

	if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
		_exit(1);
	_exit(1);
}
/* LCOV_EXCL_STOP */

void *
mem_zero(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

	if (p == NULL)                   /* GCOVR_EXCL_BR_LINE: memory ran out */
		out_of_memory(); /* LCOV_EXCL_LINE: memory ran out */
	return p;
}

void *
mem_resize(void *p, size_t n, size_t size)
{
	void *q;

	if (size != 0 && n > SIZE_MAX / size) /* GCOVR_EXCL_BR_LINE: memory ran out */
		out_of_memory();              /* LCOV_EXCL_LINE: memory ran out */
	q = realloc(p, n * size > 0 ? n * size : 1);
	if (q == NULL)                   /* GCOVR_EXCL_BR_LINE: memory ran out */
		out_of_memory(); /* LCOV_EXCL_LINE: memory ran out */
	return q;
}

char *
mem_copy(const char *s)
{
	return s == NULL ? NULL : mem_copy_n(s, strlen(s));
}

char *
mem_copy_n(const char *s, size_t n)
{
	char *p = mem_resize(NULL, n + 1, 1);

	if (n > 0)
		(void)memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)                       /* GCOVR_EXCL_BR_LINE: memory ran out */
		out_of_memory(); /* LCOV_EXCL_LINE: memory ran out */
	return p;
}

void *
mem_grow(void *item, size_t n, size_t size)
{
	char *p = item;

	/* n is a power of two (or 0) exactly when the array is full */
	if (n == 0 || (n & (n - 1)) == 0)
		p = mem_resize(p, n == 0 ? 1 : 2 * n, size);
	(void)memset(p + n * size, 0, size);
	return p;
}
