#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
secret_new(struct secret *secret, size_t n)
{
	secret->bytes = mem_zero(n, 1);
	secret->n = n;
}

void
secret_wipe(void *bytes, size_t n)
{
	explicit_bzero(bytes, n);
}

void
secret_erase(struct secret *secret)
{
	if (secret->bytes != NULL)
		explicit_bzero(secret->bytes, secret->n);
	free(secret->bytes);
	secret->bytes = NULL;
	secret->n = 0;
}

int
secret_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}
