/* The configuration: libconfig's syntax, the settings table, and the tree below it. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "fuzz.h"
#include "svc/config.h"

/* Every accessor on every node: those of the wrong type must answer too. */
static void
walk(const struct conf_node *node, int depth)
{
	REQUIRE(depth < 20000);
	REQUIRE((conf_text(node) != NULL) == (conf_type(node) == CONF_TEXT));
	REQUIRE(conf_type(node) == CONF_INT || conf_int(node) == 0);
	REQUIRE(conf_type(node) == CONF_BOOL || !conf_bool(node));
	REQUIRE(conf_line(node) >= 0);
	for (size_t i = 0; i < conf_count(node); i++) {
		const struct conf_node *member = conf_at(node, i);

		REQUIRE(member != NULL);
		if (conf_type(node) == CONF_GROUP)
			REQUIRE(conf_member(node, conf_name(member)) == member);
		walk(member, depth + 1);
	}
	REQUIRE(conf_at(node, conf_count(node)) == NULL);
}

/* What was taken is within the limits that the table states. */
static void
judge(const struct config *config)
{
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting *s = &config_settings()[i];
		enum setting_id id = (enum setting_id)i;
		const char *text = config_text(config, id);
		int64_t number = config_int(config, id);

		switch (s->type) {
		case SETTING_TEXT:
		case SETTING_PATH:
			if (text[0] != '\0' || s->preset == NULL)
				REQUIRE(parse_is_plain_text(text, (size_t)s->max));
			REQUIRE(s->type == SETTING_TEXT || text[0] == '/' || (s->preset != NULL && strcmp(text, s->preset) == 0));
			break;
		case SETTING_CHOICE:
			REQUIRE(strstr(s->choices, text) != NULL && strchr(text, '|') == NULL);
			break;
		case SETTING_INT:
			REQUIRE(number >= s->min && number <= s->max);
			break;
		case SETTING_BOOL:
			REQUIRE(number == 0 || number == 1);
			break;
		case SETTING_LIST:
			break;
		}
	}
}

int
fuzz_config(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *path = fuzz_file("expunge.conf", data, n);
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(conf_freep) struct conf_document *document = NULL;
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct err err = { 0 };

	if (conf_read_text(&document, "a.conf", text, &err) == 0)
		walk(conf_root(document), 0);
	else
		REQUIRE(err.code == ERR_USAGE && err.msg[0] != '\0');
	err_clear(&err);
	if (config_load(&config, path, &problems, &err) == 0)
		judge(config);
	else
		REQUIRE(err.code == ERR_USAGE && err.msg[0] != '\0' && problems.len > 0 && config == NULL);
	return 0;
}
