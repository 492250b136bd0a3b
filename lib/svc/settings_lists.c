/* The settings that are lists of groups. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "svc/settings_private.h"
#include "sys/command.h"
#include "sys/place.h"

#define SHARES_MAX 8   /* what a record of a root share has room for */
#define REPLICAS_MAX 8 /* of one share */
#define ARGUMENTS_MAX 64

#define NAME_MAX_BYTES 63 /* what the server keeps of one */
#define BARRIER_KINDS "standby|wal-archive"
#define STORE_KINDS "physical-backup|wal-archive|standby|replication-slot|server-log|other"

bool
reading_has_unknown(struct reading *r, const struct conf_node *group, const char *choices, const char *what)
{
	bool found = false;

	for (size_t i = 0; conf_type(group) == CONF_GROUP && i < conf_count(group); i++) {
		const struct conf_node *member = conf_at(group, i);

		if (settings_is_choice(choices, conf_name(member)))
			continue;
		reading_unknown(r, member, conf_name(member), choices, what);
		found = true;
	}
	return found;
}

/* The members that a store has are the same for all of them; a misspelt one would shorten a promise. */
static void
read_store(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *store = conf_at(list, i);
	const struct conf_node *name = conf_member(store, "name"), *days = conf_member(store, "retention_days");
	const struct conf_node *kind = conf_member(store, "kind");

	if (reading_has_unknown(r, store, "name|kind|retention_days", "a store"))
		return;
	if (conf_type(store) != CONF_GROUP || name == NULL || kind == NULL || days == NULL || conf_count(store) != 3) {
		reading_complain(r, store, "a store is { name = \"...\"; kind = \"...\"; retention_days = N; }");
		return;
	}
	if (conf_text(kind) == NULL || !settings_is_choice(STORE_KINDS, conf_text(kind)))
		reading_complain(r, kind, "the kind of a store must be one of %s", STORE_KINDS);
	if (conf_text(name) == NULL || !parse_is_plain_text(conf_text(name), 100))
		reading_complain(r, name, "the name of a store must be 1 to 100 bytes of plain text");
	if (conf_type(days) != CONF_INT || conf_int(days) < 1 || conf_int(days) > 36500)
		reading_complain(r, days, "retention_days of a store must be between 1 and 36500");
	for (size_t j = 0; j < i && conf_text(name) != NULL; j++) {
		const struct conf_node *other = conf_member(conf_at(list, j), "name");

		if (other != NULL && conf_text(other) != NULL && strcmp(conf_text(other), conf_text(name)) == 0)
			reading_complain(r, name, "two stores have the name %s", conf_text(name));
	}
}

/* Paths are compared as text, so each has one way to be written. */
static void
read_directory(struct reading *r, const struct conf_node *node, const char *what)
{
	const char *path = conf_text(node);

	if (path == NULL || path[0] != '/' || !parse_is_plain_text(path, PATH_MAX_BYTES))
		reading_complain(r, node, "%s must be an absolute path in quotes", what);
	else if (path[1] == '\0' || path[strlen(path) - 1] == '/' || strstr(path, "//") != NULL || strstr(path, "/./") != NULL ||
		strstr(path, "/../") != NULL)
		reading_complain(r, node, "%s must be a directory of its own, without \"//\", \"/./\", \"/../\" or a slash at its end", path);
}

/* What a module reads in its environment; a name that the loader heeds would have it load something else. */
static void
read_environment(struct reading *r, const struct conf_node *list)
{
	for (size_t i = 0; i < conf_count(list); i++) {
		const char *text = conf_text(conf_at(list, i));

		if (text == NULL || !parse_is_plain_text(text, PATH_MAX_BYTES) || strcspn(text, "=") == 0 || strchr(text, '=') == NULL ||
		    strncmp(text, "LD_", 3) == 0)
			reading_complain(r, conf_at(list, i), "environment of a token is [ \"NAME=value\", ... ], without LD_ names");
	}
	if (list != NULL && conf_type(list) != CONF_LIST)
		reading_complain(r, list, "environment of a token is [ \"NAME=value\", ... ]");
}

/* One of two members, as a word that is neither empty nor a path. */
static void
read_either(struct reading *r, const struct conf_node *token, const char *one, const char *other, size_t max)
{
	const struct conf_node *a = conf_member(token, one), *b = conf_member(token, other), *given = a != NULL ? a : b;

	if ((a == NULL) == (b == NULL))
		reading_complain(r, token, "a token has either %s or %s", one, other);
	else if (conf_text(given) == NULL || !parse_is_plain_text(conf_text(given), max))
		reading_complain(r, given, "%s of a token must be 1 to %zu bytes of plain text", conf_name(given), max);
}

static void
read_token(struct reading *r, const struct conf_node *token)
{
	const struct conf_node *credential = conf_member(token, "pin_credential");

	if (reading_has_unknown(r, token, "module|label|serial|pin_file|pin_credential|environment", "a token"))
		return;
	if (conf_type(token) != CONF_GROUP || conf_member(token, "module") == NULL) {
		reading_complain(r, token, "a token is { module = \"/module.so\"; label = \"...\"; pin_file = \"/file\"; }, or with serial and "
			"pin_credential, perhaps with environment");
		return;
	}
	read_directory(r, conf_member(token, "module"), "the module of a token");
	read_either(r, token, "label", "serial", 32);
	read_either(r, token, "pin_file", "pin_credential", PATH_MAX_BYTES);
	if (conf_member(token, "pin_file") != NULL)
		read_directory(r, conf_member(token, "pin_file"), "pin_file of a token");
	if (conf_text(credential) != NULL && (strchr(conf_text(credential), '/') != NULL || conf_text(credential)[0] == '.'))
		reading_complain(r, credential, "pin_credential of a token is a name, not a path");
	read_environment(r, conf_member(token, "environment"));
}

/* Two replicas on one token would be one: a share has one key there. */
static void
read_tokens(struct reading *r, const struct conf_node *tokens, size_t n)
{
	static const char *const names[] = { "label", "serial" };

	if (conf_type(tokens) != CONF_LIST || conf_count(tokens) != n) {
		reading_complain(r, tokens, "tokens of a share are a list, one for each of its replicas");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		read_token(r, conf_at(tokens, i));
		for (size_t k = 0; k < i; k++)
			for (size_t m = 0; m < 2; m++) {
				const char *a = conf_text(conf_member(conf_at(tokens, i), names[m])), *b = conf_text(conf_member(conf_at(tokens, k), names[m]));

				if (a != NULL && b != NULL && strcmp(a, b) == 0)
					reading_complain(r, conf_at(tokens, i), "two replicas of a share are on token %s", a);
			}
	}
}

static void
read_share(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *share = conf_at(list, i), *replicas = conf_member(share, "replicas"), *tokens = conf_member(share, "tokens");

	if (i == SHARES_MAX)
		reading_complain(r, share, "there are more than %d shares", SHARES_MAX);
	if (reading_has_unknown(r, share, "replicas|tokens", "a share"))
		return;
	if (conf_type(share) != CONF_GROUP || replicas == NULL || conf_type(replicas) != CONF_LIST) {
		reading_complain(r, share, "a share is { replicas = [ \"/directory\", ... ]; }, perhaps with tokens = ( ... )");
		return;
	}
	if (conf_count(replicas) < 1 || conf_count(replicas) > REPLICAS_MAX)
		reading_complain(r, replicas, "a share has 1 to %d replicas", REPLICAS_MAX);
	for (size_t k = 0; k < conf_count(replicas); k++)
		read_directory(r, conf_at(replicas, k), "a replica of a share");
	if (tokens != NULL)
		read_tokens(r, tokens, conf_count(replicas));
}

/* A misspelt barrier would not be waited for. */
static void
read_barrier(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *barrier = conf_at(list, i);
	const struct conf_node *kind = conf_member(barrier, "kind"), *name = conf_member(barrier, "name");
	const struct conf_node *timeout = conf_member(barrier, "timeout_seconds");
	const char *text = conf_text(kind);
	size_t n = name != NULL ? 3 : 2;

	if (conf_type(barrier) != CONF_GROUP || text == NULL || timeout == NULL || conf_count(barrier) != n ||
	    !settings_is_choice(BARRIER_KINDS, text) || (name != NULL && strcmp(text, "standby") != 0)) {
		reading_complain(r, barrier, "a barrier is { kind = \"standby\"; name = \"...\"; timeout_seconds = N; }, perhaps without the name, or "
			"{ kind = \"wal-archive\"; timeout_seconds = N; }");
		return;
	}
	if (name != NULL && (conf_text(name) == NULL || !parse_is_plain_text(conf_text(name), NAME_MAX_BYTES)))
		reading_complain(r, name, "the name of a standby must be 1 to %d bytes of plain text", NAME_MAX_BYTES);
	if (conf_type(timeout) != CONF_INT || conf_int(timeout) < 1 || conf_int(timeout) > 86400)
		reading_complain(r, timeout, "timeout_seconds of a barrier must be between 1 and 86400");
	for (size_t j = 0; j < i; j++) {
		const char *others[2] = { conf_text(conf_member(conf_at(list, j), "kind")), conf_text(conf_member(conf_at(list, j), "name")) };
		const char *own = conf_text(name);

		if (others[0] != NULL && strcmp(others[0], text) == 0 && strcmp(others[1] == NULL ? "" : others[1], own == NULL ? "" : own) == 0)
			reading_complain(r, barrier, "this barrier is there twice");
	}
}

/* Nothing of a command is guessed: no shell, no search along PATH, no unknown word in braces. */
static void
read_command(struct reading *r, const struct conf_node *list)
{
	const struct command_word id = { "{id}", "" };
	const char *what = conf_name(list);
	bool names_id = false;

	if (conf_type(list) != CONF_LIST || conf_count(list) < 1 || conf_count(list) > ARGUMENTS_MAX) {
		reading_complain(r, list, "%s of a destination is a list of 1 to %d texts: [ \"/program\", \"argument\", ... ]", what, ARGUMENTS_MAX);
		return;
	}
	for (size_t i = 0; i < conf_count(list); i++) {
		const struct conf_node *node = conf_at(list, i);
		const char *text = conf_text(node);
		CLEANUP(free_text) char *filled = text == NULL ? NULL : command_argument(text, &id, 1);

		if (text == NULL || (text[0] != '\0' && !parse_is_plain_text(text, PATH_MAX_BYTES)))
			reading_complain(r, node, "an argument of %s must be at most %d bytes of plain text in quotes", what, PATH_MAX_BYTES);
		else if (i == 0 && (text[0] != '/' || strpbrk(text, "{}") != NULL))
			reading_complain(r, node, "%s begins with the absolute path of a program, without braces", what);
		else if (filled == NULL)
			reading_complain(r, node, "%s: braces hold {id} and nothing else", what);
		names_id = names_id || (text != NULL && strstr(text, "{id}") != NULL);
	}
	if (!names_id)
		reading_complain(r, list, "%s never says {id}: which archive is meant", what);
}

/* { name, directory }, or { name, store } and perhaps fetch, remove, timeout_seconds. */
static bool
is_destination(const struct conf_node *destination)
{
	static const char *const members[] = { "fetch", "remove", "timeout_seconds" };
	size_t n = 2;

	if (conf_type(destination) != CONF_GROUP || conf_member(destination, "name") == NULL)
		return false;
	if (conf_member(destination, "directory") != NULL)
		return conf_count(destination) == n;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		n += conf_member(destination, members[i]) != NULL;
	return conf_member(destination, "store") != NULL && conf_count(destination) == n;
}

static void
read_receiver(struct reading *r, const struct conf_node *destination)
{
	static const char *const commands[] = { "store", "fetch", "remove" };
	const struct conf_node *timeout = conf_member(destination, "timeout_seconds");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (conf_member(destination, commands[i]) != NULL)
			read_command(r, conf_member(destination, commands[i]));
	if (timeout != NULL && (conf_type(timeout) != CONF_INT || conf_int(timeout) < 1 || conf_int(timeout) > 86400))
		reading_complain(r, timeout, "timeout_seconds of a destination must be between 1 and 86400");
}

/* That nothing before has the same name, or the same directory. many: what they are. */
static void
check_others(struct reading *r, const struct conf_node *list, size_t i, const char *many)
{
	const struct conf_node *name = conf_member(conf_at(list, i), "name"), *directory = conf_member(conf_at(list, i), "directory");

	for (size_t j = 0; j < i; j++) {
		const struct conf_node *other = conf_at(list, j);
		const char *texts[2] = { conf_text(conf_member(other, "name")), conf_text(conf_member(other, "directory")) };

		if (texts[0] != NULL && conf_text(name) != NULL && strcmp(texts[0], conf_text(name)) == 0)
			reading_complain(r, name, "two %s have the name %s", many, texts[0]);
		if (texts[1] != NULL && conf_text(directory) != NULL && strcmp(texts[1], conf_text(directory)) == 0)
			reading_complain(r, directory, "two %s are %s", many, texts[1]);
	}
}

static void
read_destination(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *destination = conf_at(list, i);
	const struct conf_node *name = conf_member(destination, "name"), *directory = conf_member(destination, "directory");

	if (reading_has_unknown(r, destination, "name|directory|store|fetch|remove|timeout_seconds", "a destination"))
		return;
	if (!is_destination(destination)) {
		reading_complain(r, destination, "a destination is { name = \"...\"; directory = \"/...\"; } or { name = \"...\"; "
			"store = [ \"/program\", ... ]; }, the latter perhaps with fetch, remove and timeout_seconds");
		return;
	}
	if (conf_text(name) == NULL || !parse_is_plain_text(conf_text(name), 100))
		reading_complain(r, name, "the name of a destination must be 1 to 100 bytes of plain text");
	if (directory == NULL)
		read_receiver(r, destination);
	else
		read_directory(r, directory, "the directory of a destination");
	check_others(r, list, i, "destinations");
}

/* A file of one kind must not be one of another kind, too. */
static void
read_documents(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *kind = conf_at(list, i);
	const struct conf_node *name = conf_member(kind, "name"), *place = conf_member(kind, "directory");
	const char *directory = conf_text(place);

	if (reading_has_unknown(r, kind, "name|directory", "a kind of documents"))
		return;
	if (conf_type(kind) != CONF_GROUP || name == NULL || place == NULL || conf_count(kind) != 2) {
		reading_complain(r, kind, "a kind of documents is { name = \"...\"; directory = \"/...\"; }");
		return;
	}
	if (conf_text(name) == NULL || !parse_is_kind(conf_text(name)))
		reading_complain(r, name, "the name of a kind of documents must be 1 to 40 small letters, digits, \"-\" or \"_\"");
	read_directory(r, place, "the directory of a kind of documents");
	check_others(r, list, i, "kinds of documents");
	for (size_t j = 0; j < i && directory != NULL; j++) {
		const char *other = conf_text(conf_member(conf_at(list, j), "directory"));

		if (other != NULL && strcmp(other, directory) != 0 && (place_contains(other, directory) || place_contains(directory, other)))
			reading_complain(r, kind, "%s and %s lie in one another", directory, other);
	}
}

/* A command has no key journal, and is given what a directory holds. */
static void
need_directory(struct reading *r, const struct conf_node *list)
{
	for (size_t i = 0; i < conf_count(list); i++)
		if (conf_member(conf_at(list, i), "store") == NULL)
			return;
	if (conf_count(list) > 0)
		reading_complain(r, list, "every destination is a command, which has no key journal: one at least, better two, must be a directory");
}

void
reading_list(struct reading *r, const struct setting *s, const struct conf_node *list)
{
	if (conf_type(list) != CONF_LIST)
		reading_complain(r, list, "%s must be a list in parentheses", s->name);
	for (size_t i = 0; i < conf_count(list); i++)
		if (s == &config_settings()[SET_STORES])
			read_store(r, list, i);
		else if (s == &config_settings()[SET_ARCHIVES_DESTINATIONS])
			read_destination(r, list, i);
		else if (s == &config_settings()[SET_KEYS_BARRIERS])
			read_barrier(r, list, i);
		else if (s == &config_settings()[SET_DOCUMENTS])
			read_documents(r, list, i);
		else if (s == &config_settings()[SET_CLOSURE_RULES])
			reading_closure_rule(r, list, i);
		else if (s == &config_settings()[SET_CLOSURE_SUBSCRIPTIONS])
			reading_subscriptions(r, list, i);
		else
			read_share(r, list, i);
	if (s == &config_settings()[SET_ARCHIVES_DESTINATIONS])
		need_directory(r, list);
}
