/* The command line, a word a line, against the real commands. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jobs/options.h"

#define WORDS_MAX 64

static const struct command *const groups[] = {
	init_commands, check_commands, map_commands, guard_commands, request_commands, hold_commands,
	nightly_commands, erase_commands, certificate_commands, keys_commands, backup_commands,
	restore_commands, status_commands, NULL
};

static bool
is_one_of(const char *choices, const char *value)
{
	CLEANUP(free_text) char *all = mem_printf("|%s|", choices);
	CLEANUP(free_text) char *one = mem_printf("|%s|", value);

	return strchr(value, '|') == NULL && strstr(all, one) != NULL;
}

static void
judge(const struct invocation *inv)
{
	const struct command *c = inv->command;

	if (c == NULL) {
		REQUIRE(inv->help || inv->version);
		return;
	}
	if (!inv->help) {
		REQUIRE(inv->n_args >= c->min_args);
		REQUIRE(c->max_args < 0 || inv->n_args <= c->max_args);
	}
	for (int i = 0; c->options != NULL && c->options[i].name != NULL; i++) {
		const char *value = inv->values[i];

		if (value == NULL)
			continue;
		REQUIRE(c->options[i].value != NULL || value[0] == '\0');
		REQUIRE(c->options[i].choices == NULL || is_one_of(c->options[i].choices, value));
	}
}

int
fuzz_options(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *input = fuzz_text(data, n);
	char name[] = "expunge", *argv[WORDS_MAX + 2] = { name };
	struct invocation inv = { 0 };
	struct err err = { 0 };
	int argc = 1;

	for (char *rest = input; rest != NULL && argc <= WORDS_MAX;)
		argv[argc++] = fuzz_piece(&rest, '\n');
	if (options_parse(&inv, argc, argv, groups, &err) == 0) {
		judge(&inv);
		options_release(&inv);
	} else
		REQUIRE(err.code == ERR_USAGE && err.msg[0] != '\0' && inv.args == NULL);
	return 0;
}
