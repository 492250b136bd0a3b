/*
 * secret: bytes that must not outlive their use. There is no way to print one.
 */
#ifndef EXPUNGE_BASE_SECRET_H
#define EXPUNGE_BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

struct secret {
	uint8_t *bytes;
	size_t n;
};

#define SECRET_INIT { NULL, 0 }

/* n zero bytes in memory of its own. */
void secret_new(struct secret *secret, size_t n);
/* Overwrites in a way that the compiler cannot remove, frees, and leaves SECRET_INIT. */
void secret_erase(struct secret *secret);
/* Overwrites n bytes that are not a struct secret (a buffer on the stack). */
void secret_wipe(void *bytes, size_t n);
/* Equal, in time that depends on n only. */
int secret_equal(const void *a, const void *b, size_t n);

#endif
