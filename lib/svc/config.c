#include "svc/config.h"

#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sys/file.h"

/* A map of a schema with thousands of tables is some megabytes. */
#define FILE_MAX_BYTES ((size_t)32 << 20)

struct conf_document {
	config_t libconfig;
};

static const config_setting_t *
setting_of(const struct conf_node *node)
{
	return (const config_setting_t *)(const void *)node;
}

static const struct conf_node *
node_of(const config_setting_t *setting)
{
	return (const struct conf_node *)(const void *)setting;
}

/* The number at text does not fit libconfig's int, and has no L that makes it wide. */
static bool
is_cut_number(const char *text, size_t n)
{
	char digits[32];
	char *end;
	bool wide = n >= sizeof(digits);
	unsigned long long v;

	if (wide || n == 0)
		return wide;
	(void)memcpy(digits, text, n);
	digits[n] = '\0';
	errno = 0;
	v = strtoull(digits, &end, digits[0] == '0' && (digits[1] | 32) == 'x' ? 16 : 10);
	if (*end == '.' || (*end | 32) == 'e')
		return false;
	if (*end == 'L')
		return errno == ERANGE || v > (unsigned long long)INT64_MAX;
	return errno == ERANGE || v > (unsigned long long)INT_MAX;
}

/* Past a comment or string that starts at p, else p itself. */
static const char *
skip_quoted(const char *p, bool *ret_string)
{
	*ret_string = *p == '"';
	if (*p == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] == '/' && p[1] == '*') {
		const char *end = strstr(p + 2, "*/");

		return end == NULL ? p + strlen(p) : end + 2;
	}
	if (*p != '"')
		return p;
	for (p++; *p != '\0' && *p != '"'; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p == '"' ? p + 1 : p;
}

/* What libconfig would take without a word, but must not be. */
static const char *
find_trap(const char *text, int *ret_line)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
	const char *counted = text;

	*ret_line = 1;
	for (const char *p = text; *p != '\0';) {
		bool string;
		const char *after = skip_quoted(p, &string);
		const char *problem = NULL;

		for (; counted < p; counted++)
			*ret_line += *counted == '\n';
		if (*p == '@')
			problem = "@include is not supported";
		if (after == p) {
			size_t n = strspn(p, word);

			if (n > 0 && *p >= '0' && *p <= '9' && is_cut_number(p, n))
				problem = "the number is too large; above 2147483647 it needs an L at its end";
			after = p + (n > 0 ? n : 1);
		}
		if (problem != NULL)
			return problem;
		p = after;
	}
	return NULL;
}

static int
read_document(struct conf_document **ret, const char *path, const char *text, size_t n, struct err *err)
{
	CLEANUP(conf_freep) struct conf_document *document = NULL;
	const char *trap;
	int line;

	if (!parse_is_utf8(text, n))
		return err_set(err, ERR_USAGE, "%s: not UTF-8 text", path);
	trap = find_trap(text, &line);
	if (trap != NULL)
		return err_set(err, ERR_USAGE, "%s:%d: %s", path, line, trap);
	document = mem_zero(1, sizeof(*document));
	config_init(&document->libconfig);
	if (config_read_string(&document->libconfig, text) != CONFIG_TRUE)
		return err_set(err, ERR_USAGE, "%s:%d: %s", path, config_error_line(&document->libconfig),
			config_error_text(&document->libconfig));
	*ret = TAKE_PTR(document);
	return 0;
}

int
conf_read(struct conf_document **ret, const char *path, struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n;

	if (file_read(path, FILE_MAX_BYTES, &text, &n, err) != 0) {
		if (err != NULL)
			err->code = ERR_USAGE;
		return -1;
	}
	return read_document(ret, path, text, n, err);
}

int
conf_read_text(struct conf_document **ret, const char *path, const char *text, struct err *err)
{
	return read_document(ret, path, text, strlen(text), err);
}

void
conf_free(struct conf_document *document)
{
	if (document == NULL)
		return;
	config_destroy(&document->libconfig);
	free(document);
}

void
conf_freep(struct conf_document **document)
{
	conf_free(*document);
	*document = NULL;
}

const struct conf_node *
conf_root(const struct conf_document *document)
{
	return node_of(config_root_setting(&document->libconfig));
}

enum conf_type
conf_type(const struct conf_node *node)
{
	if (node == NULL)
		return CONF_OTHER;
	switch (config_setting_type(setting_of(node))) {
	case CONFIG_TYPE_GROUP:
		return CONF_GROUP;
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		return CONF_LIST;
	case CONFIG_TYPE_STRING:
		return CONF_TEXT;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return CONF_INT;
	case CONFIG_TYPE_BOOL:
		return CONF_BOOL;
	default:
		return CONF_OTHER;
	}
}

int
conf_line(const struct conf_node *node)
{
	return (int)config_setting_source_line(setting_of(node));
}

const char *
conf_name(const struct conf_node *node)
{
	return config_setting_name(setting_of(node));
}

size_t
conf_count(const struct conf_node *node)
{
	enum conf_type type = conf_type(node);

	return type == CONF_GROUP || type == CONF_LIST ? (size_t)config_setting_length(setting_of(node)) : 0;
}

const struct conf_node *
conf_at(const struct conf_node *node, size_t i)
{
	return i < conf_count(node) ? node_of(config_setting_get_elem(setting_of(node), (unsigned)i)) : NULL;
}

const struct conf_node *
conf_member(const struct conf_node *node, const char *name)
{
	return conf_type(node) == CONF_GROUP ? node_of(config_setting_get_member(setting_of(node), name)) : NULL;
}

const char *
conf_text(const struct conf_node *node)
{
	return conf_type(node) == CONF_TEXT ? config_setting_get_string(setting_of(node)) : NULL;
}

int64_t
conf_int(const struct conf_node *node)
{
	return conf_type(node) == CONF_INT ? config_setting_get_int64(setting_of(node)) : 0;
}

bool
conf_bool(const struct conf_node *node)
{
	return conf_type(node) == CONF_BOOL && config_setting_get_bool(setting_of(node)) == CONFIG_TRUE;
}
