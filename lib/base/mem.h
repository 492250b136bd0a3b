/*
 * mem: allocation that cannot fail.
 *
 * Running out of memory ends the process with a message and exit code 1. Every step of a job
 * survives kill -9 at any instant, so this is as safe as any other kill, and no half-handled
 * allocation failure can hide in a rarely taken path. Memory use is bounded by design.
 */
#ifndef EXPUNGE_BASE_MEM_H
#define EXPUNGE_BASE_MEM_H

#include <stddef.h>

/* n zeroed elements of `size` bytes; the caller frees with free(). */
void *mem_zero(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* realloc to n elements of `size` bytes, overflow checked. */
void *mem_resize(void *p, size_t n, size_t size) __attribute__((returns_nonnull));

/* A copy of a string (NULL gives NULL); the caller frees. */
char *mem_copy(const char *s);

/* A copy of the first n bytes, NUL-terminated; the caller frees. */
char *mem_copy_n(const char *s, size_t n) __attribute__((returns_nonnull));

/* printf into a new string; the caller frees. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/*
 * Growable arrays: `T *item; size_t n;` side by side in a struct. MEM_PUSH returns a pointer to a
 * new zeroed element at the end. Capacity grows in powers of two and is derived from n.
 */
void *mem_grow(void *item, size_t n, size_t size) __attribute__((returns_nonnull));
/* clang-format off */
#define MEM_PUSH(item, n)                                                   \
	((item) = mem_grow((item), (n), sizeof(*(item))), (n)++, &(item)[(n) - 1])
/* clang-format on */

#endif
