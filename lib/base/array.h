/* array: a PostgreSQL array in its text form, for a parameter like uuid[] or text[]; starts as an empty str. */
#ifndef EXPUNGE_BASE_ARRAY_H
#define EXPUNGE_BASE_ARRAY_H

#include <stdint.h>

#include "base/str.h"

/* Adds an element, quoted; any text is safe. */
void array_add(struct str *array, const char *text);
/* The same, or NULL for a NULL. */
void array_add_or_null(struct str *array, const char *text);
void array_add_int(struct str *array, int64_t n);
/* Adds the closing brace and gives the whole text, owned by `array`. */
const char *array_end(struct str *array);

#endif
