/* A name that is no setting, and what was probably meant. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/settings_private.h"

#define NAME_MAX_BYTES 60

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be changed, left out or put in. */
static size_t
distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t row[NAME_MAX_BYTES + 1];

	for (size_t j = 0; j <= n_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n_b];
}

/* NULL: nothing is like it. The caller frees. */
static char *
nearest(const char *name, const char *choices)
{
	const char *found = NULL;
	size_t n_found = 0, best = strlen(name) > 6 ? 4 : 3, n_name = strlen(name); /* fewer than so many */

	for (const char *at = choices; *at != '\0';) {
		size_t n = strcspn(at, "|");

		if (n <= NAME_MAX_BYTES && n_name <= NAME_MAX_BYTES) {
			size_t d = distance(name, n_name, at, n);

			if (d < best && d < n) {
				best = d;
				found = at;
				n_found = n;
			}
		}
		at += n + (at[n] == '|');
	}
	return found == NULL ? NULL : mem_copy_n(found, n_found);
}

void
reading_unknown(struct reading *r, const struct conf_node *node, const char *name, const char *choices, const char *what)
{
	CLEANUP(free_text) char *meant = nearest(name, choices);

	reading_complain(r, node, "%s is not a setting%s%s%s%s%s", name, what[0] == '\0' ? "" : " of ", what,
		meant == NULL ? "" : ": did you mean ", meant == NULL ? "" : meant, meant == NULL ? "" : "?");
}
