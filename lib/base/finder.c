#include "base/finder.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct finder_entry {
	const char *text;
	size_t at;
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct finder_entry *)a)->text, ((const struct finder_entry *)b)->text);
}

void
finder_make(struct finder *ret, const char *texts, size_t n, size_t stride)
{
	ret->entries = mem_zero(n, sizeof(*ret->entries));
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		ret->entries[i] = (struct finder_entry){ texts + i * stride, i };
	qsort(ret->entries, n, sizeof(*ret->entries), compare);
}

long
finder_find(const struct finder *finder, const char *text)
{
	const struct finder_entry key = { text, 0 };
	const struct finder_entry *found =
		finder->n == 0 ? NULL : bsearch(&key, finder->entries, finder->n, sizeof(key), compare);

	return found == NULL ? -1 : (long)found->at;
}

void
finder_release(struct finder *finder)
{
	free(finder->entries);
	*finder = (struct finder){ 0 };
}
