#include "map/name.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/mem.h"

static bool
is_bare(char c)
{
	unsigned char u = (unsigned char)c;

	return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') ||
		u == '_' || u == '$' || u >= 0x80;
}

void
name_add(struct str *str, const char *part)
{
	const char *p = part;

	while (is_bare(*p))
		p++;
	if (*p == '\0' && p > part) {
		str_add(str, part);
		return;
	}
	str_add(str, "\"");
	for (p = part; *p != '\0'; p++)
		str_add_n(str, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
	str_add(str, "\"");
}

char *
name_full(const char *schema, const char *name)
{
	CLEANUP(str_release) struct str full = STR_INIT;

	name_add(&full, schema);
	str_add(&full, ".");
	name_add(&full, name);
	return str_take(&full);
}

static char *
read_quoted(const char **p)
{
	CLEANUP(str_release) struct str part = STR_INIT;
	const char *q = *p + 1;

	for (; *q != '\0'; q++) {
		if (*q == '"' && q[1] != '"')
			break;
		if (*q == '"')
			q++;
		str_add_n(&part, q, 1);
	}
	if (*q != '"' || part.len == 0)
		return NULL;
	*p = q + 1;
	return str_take(&part);
}

char *
name_read(const char **p)
{
	const char *q = *p;
	char *part;

	if (*q == '"')
		return read_quoted(p);
	while (is_bare(*q))
		q++;
	if (q == *p)
		return NULL;
	part = mem_copy_n(*p, (size_t)(q - *p));
	*p = q;
	return part;
}

char *
name_read_table(const char **p)
{
	CLEANUP(free_text) char *schema = NULL;
	CLEANUP(free_text) char *name = NULL;
	const char *q = *p;

	schema = name_read(&q);
	if (schema == NULL || *q != '.')
		return NULL;
	q++;
	name = name_read(&q);
	if (name == NULL)
		return NULL;
	*p = q;
	return name_full(schema, name);
}

char *
name_canonical(const char *text)
{
	CLEANUP(free_text) char *full = NULL;

	full = name_read_table(&text);
	return full == NULL || *text != '\0' ? NULL : TAKE_PTR(full);
}
