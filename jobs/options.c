#include "jobs/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* How many words of argv the command's name takes when it matches, else 0. */
static int
match_words(const struct command *command, int argc, char *const *argv)
{
	const char *space = strchr(command->name, ' ');
	size_t first = space == NULL ? strlen(command->name) : (size_t)(space - command->name);

	if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], command->name, first) != 0)
		return 0;
	if (space == NULL)
		return 1;
	return argc >= 2 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static bool
is_group(const struct command *const *groups, const char *word, struct str *ret_members)
{
	size_t n = strlen(word);
	bool found = false;

	for (; *groups != NULL; groups++)
		for (const struct command *c = *groups; c->name != NULL; c++)
			if (strncmp(c->name, word, n) == 0 && c->name[n] == ' ') {
				str_addf(ret_members, "%s%s", found ? ", " : "", c->name + n + 1);
				found = true;
			}
	return found;
}

/* Of two that match, the one of more words. */
static const struct command *
find_command(const struct command *const *groups, int argc, char *const *argv, int *ret_words)
{
	const struct command *found = NULL;

	*ret_words = 0;
	for (; *groups != NULL; groups++)
		for (const struct command *c = *groups; c->name != NULL; c++) {
			int words = match_words(c, argc, argv);

			if (words > *ret_words) {
				*ret_words = words;
				found = c;
			}
		}
	return found;
}

static int
unknown_command(const struct command *const *groups, const char *word, struct err *err)
{
	struct str members = STR_INIT;

	if (is_group(groups, word, &members))
		(void)err_set(err, ERR_USAGE, "%s: which one? %s", word, str_cstr(&members));
	else
		(void)err_set(err, ERR_USAGE, "unknown command \"%.60s\"", word);
	str_release(&members);
	return err_hint(err, "expunge --help lists the commands");
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *c = choices; c != NULL; c = strchr(c, '|') == NULL ? NULL : strchr(c, '|') + 1)
		if (strncmp(c, value, n) == 0 && (c[n] == '|' || c[n] == '\0'))
			return true;
	return false;
}

static int
set_option(struct invocation *inv, int row, const char *value, struct err *err)
{
	const struct option_row *option = &inv->command->options[row];

	if (inv->values[row] != NULL)
		return err_set(err, ERR_USAGE, "--%s was given twice", option->name);
	if (option->choices != NULL && !is_choice(option->choices, value))
		return err_set(err, ERR_USAGE, "--%s takes one of %s", option->name, option->choices);
	if (option->value != NULL && value[0] == '\0') /* a script's variable that is not set means nothing, and never "all" or "now" */
		return err_set(err, ERR_USAGE, "--%s is empty", option->name);
	inv->values[row] = value;
	return 0;
}

static bool
is_letter(const struct option_row *option)
{
	return option->name != NULL && option->name[0] != '\0' && option->name[1] == '\0';
}

/* The row of -X among the command's options, or -1. */
static int
letter_row(const struct command *command, const char *word)
{
	for (int row = 0; command->options != NULL && command->options[row].name != NULL; row++)
		if (is_letter(&command->options[row]) && strcmp(command->options[row].name, word + 1) == 0)
			return row;
	return -1;
}

/* "-o value": the value belongs to the long form in the row before. */
static int
short_option(struct invocation *inv, int argc, char *const *argv, int row, int *i, struct err *err)
{
	const struct option_row *option = &inv->command->options[row];

	if (option->value == NULL)
		return set_option(inv, row - 1, "", err);
	if (*i + 1 >= argc)
		return err_set(err, ERR_USAGE, "-%s needs %s", option->name, option->value);
	return set_option(inv, row - 1, argv[++*i], err);
}

/* One "--name", "--name=value" or "--name value"; *i is left at the last word used. */
static int
long_option(struct invocation *inv, int argc, char *const *argv, int *i, struct err *err)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	size_t n = equals == NULL ? strlen(name) : (size_t)(equals - name);
	const struct option_row *options = inv->command->options;

	if (strcmp(name, "help") == 0) {
		inv->help = true;
		return 0;
	}
	for (int row = 0; options != NULL && options[row].name != NULL; row++) {
		if (is_letter(&options[row]) || strlen(options[row].name) != n || strncmp(options[row].name, name, n) != 0)
			continue;
		if (options[row].value == NULL)
			return equals == NULL ? set_option(inv, row, "", err)
			                      : err_set(err, ERR_USAGE, "--%s takes no value", options[row].name);
		if (equals != NULL)
			return set_option(inv, row, equals + 1, err);
		if (*i + 1 >= argc)
			return err_set(err, ERR_USAGE, "--%s needs %s", options[row].name, options[row].value);
		return set_option(inv, row, argv[++*i], err);
	}
	(void)err_set(err, ERR_USAGE, "unknown option \"%.60s\"", argv[*i]);
	return err_hint(err, "expunge %s --help lists its options", inv->command->name);
}

/* Options before the command: -c FILE, -U ROLE, -v, --help, --version. */
static int
global_option(struct invocation *inv, int argc, char *const *argv, int *i, struct err *err)
{
	const char *word = argv[*i];

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		inv->help = true;
	else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		inv->version = true;
	else if (strcmp(word, "-v") == 0)
		inv->verbose = true;
	else if (strcmp(word, "-c") == 0 || strcmp(word, "-U") == 0) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_USAGE, "%s needs a value", word);
		if (argv[++*i][0] == '\0')
			return err_set(err, ERR_USAGE, "%s is empty", word);
		*(word[1] == 'c' ? &inv->config_path : &inv->user) = argv[*i];
	} else {
		(void)err_set(err, ERR_USAGE, "unknown option \"%.60s\"", word);
		return err_hint(err, "options of a command come after it; expunge --help lists both");
	}
	return 0;
}

static int
parse_command_words(struct invocation *inv, int argc, char *const *argv, int i, struct err *err)
{
	bool options_end = false;

	for (; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0)
			options_end = true;
		else if (!options_end && strcmp(argv[i], "-h") == 0)
			inv->help = true;
		else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
			if (long_option(inv, argc, argv, &i, err) != 0)
				return -1;
		} else if (!options_end && argv[i][0] == '-' && letter_row(inv->command, argv[i]) > 0) {
			if (short_option(inv, argc, argv, letter_row(inv->command, argv[i]), &i, err) != 0)
				return -1;
		} else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (global_option(inv, argc, argv, &i, err) != 0)
				return -1;
		} else
			inv->args[inv->n_args++] = argv[i];
	}
	if (inv->help)
		return 0;
	if (inv->n_args < inv->command->min_args || (inv->command->max_args >= 0 && inv->n_args > inv->command->max_args)) {
		(void)err_set(err, ERR_USAGE, "%s takes %s", inv->command->name,
			inv->command->arguments[0] == '\0' ? "no arguments" : inv->command->arguments);
		return err_hint(err, "expunge %s --help", inv->command->name);
	}
	return 0;
}

int
options_parse(struct invocation *ret, int argc, char *const *argv, const struct command *const *groups,
	struct err *err)
{
	struct invocation inv = { .args = mem_zero((size_t)argc + 1, sizeof(char *)) };
	size_t n_options = 0;
	int i = 1, words = 0;

	for (; i < argc && argv[i][0] == '-'; i++)
		if (global_option(&inv, argc, argv, &i, err) != 0)
			goto failed;
	if (i < argc && strcmp(argv[i], "help") == 0) {
		inv.help = true;
		i++;
	}
	if (i < argc) {
		inv.command = find_command(groups, argc - i, argv + i, &words);
		if (inv.command == NULL) {
			struct str unused = STR_INIT;
			bool group_help = inv.help || (i + 1 < argc && strcmp(argv[i + 1], "--help") == 0);
			bool known = is_group(groups, argv[i], &unused);

			str_release(&unused);
			if (group_help && known) {
				inv.help = true;
				*ret = inv;
				return 0;
			}
			(void)unknown_command(groups, argv[i], err);
			goto failed;
		}
		while (inv.command->options != NULL && inv.command->options[n_options].name != NULL)
			n_options++;
		inv.values = mem_zero(n_options + 1, sizeof(char *));
		if (parse_command_words(&inv, argc, argv, i + words, err) != 0)
			goto failed;
	} else if (!inv.help && !inv.version) {
		(void)err_set(err, ERR_USAGE, "no command");
		(void)err_hint(err, "expunge --help lists the commands");
		goto failed;
	}
	*ret = inv;
	return 0;
failed:
	options_release(&inv);
	return -1;
}

void
options_release(struct invocation *invocation)
{
	free(invocation->args);
	free(invocation->values);
	*invocation = (struct invocation){ 0 };
}

void
options_print_help(const struct command *const *groups)
{
	printf("expunge ends personal data on time and proves it.\n\n"
	       "usage: expunge [-c FILE] [-U ROLE] [-v] COMMAND ...\n\n"
	       "  -c FILE    configuration (%s)\n"
	       "  -U ROLE    database role to connect as\n"
	       "  -v         say more\n"
	       "  -V, --version  print the version\n\n", EXPUNGE_CONF);
	for (; *groups != NULL; groups++)
		for (const struct command *c = *groups; c->name != NULL; c++)
			printf("  %-20s %s\n", c->name, c->summary);
	printf("\nexpunge COMMAND --help says more about one of them; man expunge is the manual.\n"
	       "exit status: 0 done or nothing to do, 1 could not run, 2 usage or configuration,\n"
	       "  3 ran and some items failed or are overdue, 4 another run holds the lock,\n"
	       "  5 refused by a safeguard\n");
}

void
options_print_command(const struct command *command)
{
	printf("usage: expunge %s%s%s%s\n\n%s.\n", command->name,
		command->options != NULL && command->options[0].name != NULL ? " [OPTIONS]" : "",
		command->arguments[0] == '\0' ? "" : " ", command->arguments, command->summary);
	if (command->detail != NULL)
		printf("\n%s\n", command->detail);
	if (command->options == NULL || command->options[0].name == NULL)
		return;
	printf("\n");
	for (const struct option_row *o = command->options; o->name != NULL; o++) {
		char label[64];

		if (is_letter(o))
			continue;
		(void)snprintf(label, sizeof(label), "%s%s%s--%s%s%s", is_letter(o + 1) ? "-" : "", is_letter(o + 1) ? o[1].name : "",
			is_letter(o + 1) ? ", " : "", o->name, o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value);
		printf("  %-24s %s\n", label, o->help);
	}
}
