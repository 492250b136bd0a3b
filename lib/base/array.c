#include "base/array.h"

#include <inttypes.h>
#include <string.h>

void
array_add(struct str *array, const char *text)
{
	str_add(array, array->len == 0 ? "{\"" : ",\"");
	while (*text != '\0') {
		size_t plain = strcspn(text, "\"\\");

		str_add_n(array, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		str_add(array, "\\");
		str_add_n(array, text++, 1);
	}
	str_add(array, "\"");
}

void
array_add_or_null(struct str *array, const char *text)
{
	if (text != NULL)
		array_add(array, text);
	else
		str_add(array, array->len == 0 ? "{NULL" : ",NULL");
}

void
array_add_int(struct str *array, int64_t n)
{
	str_addf(array, "%s%" PRId64, array->len == 0 ? "{" : ",", n);
}

const char *
array_end(struct str *array)
{
	str_add(array, array->len == 0 ? "{}" : "}");
	return array->s;
}
