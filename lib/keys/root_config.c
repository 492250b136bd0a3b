#include "keys/root_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/root_token.h"

struct reading {
	const struct config *config;
	struct str *problems;
	size_t count;
};

/* A path of the configuration, and what it is without symbolic links. */
struct named {
	const char *what, *path;
	int line; /* 0: not a share's directory */
	char *real;
};

struct named_list {
	struct named *items;
	size_t n;
};

static void
named_release(struct named_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].real);
	free(list->items);
}

static void
add_named(struct named_list *list, const char *what, const char *path, int line)
{
	*MEM_PUSH(list->items, list->n) = (struct named){ what, path, line, place_resolve(path) };
}

static void __attribute__((format(printf, 3, 4)))
complain(struct reading *r, int line, const char *fmt, ...)
{
	va_list ap;
	char what[768];

	r->count++;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	str_addf(r->problems, "%s:%d: ", config_path(r->config), line);
	str_add_visible(r->problems, what);
	str_add(r->problems, "\n");
}

/* What is not there may still be made or mounted; what is there must not be anybody's to change. */
static void
check_directory(struct reading *r, const struct named *share)
{
	struct stat st;

	if (lstat(share->path, &st) != 0)
		return;
	if (S_ISLNK(st.st_mode))
		complain(r, share->line, "%s is a symbolic link; name the directory itself", share->path);
	else if (!S_ISDIR(st.st_mode))
		complain(r, share->line, "%s is not a directory", share->path);
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		complain(r, share->line, "others may write to %s (mode %04o): chmod go-w", share->path, (unsigned)(st.st_mode & 07777));
}

static void
check_pair(struct reading *r, const struct named *share, const struct named *other)
{
	if (strcmp(share->real, other->real) == 0)
		complain(r, share->line, "%s is named twice: it is the %s, too", share->path, other->what);
	else if (place_contains(other->real, share->real))
		complain(r, share->line, "%s is in the %s %s; a share needs a directory of its own", share->path, other->what, other->path);
	else if (place_contains(share->real, other->real))
		complain(r, share->line, "%s holds the %s %s; a share needs a directory of its own", share->path, other->what, other->path);
}

static void
check_all(struct reading *r, const struct named_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].line == 0)
			continue;
		check_directory(r, &list->items[i]);
		/* shares among themselves once, and each with all the rest */
		for (size_t k = 0; k < list->n; k++)
			if (k < i || list->items[k].line == 0)
				check_pair(r, &list->items[i], &list->items[k]);
	}
}

static void
read_token(const struct conf_node *node, struct root_token *ret, struct named_list *named)
{
	const struct conf_node *environment = conf_member(node, "environment");

	ret->where.module = mem_copy(conf_text(conf_member(node, "module")));
	ret->where.label = mem_copy(conf_text(conf_member(node, "label")));
	ret->where.serial = mem_copy(conf_text(conf_member(node, "serial")));
	ret->pin_file = mem_copy(conf_text(conf_member(node, "pin_file")));
	ret->pin_credential = mem_copy(conf_text(conf_member(node, "pin_credential")));
	for (size_t i = 0; environment != NULL && i < conf_count(environment); i++)
		*MEM_PUSH(ret->where.environment, ret->where.n_environment) = mem_copy(conf_text(conf_at(environment, i)));
	/* a share and what unlocks its token: one lost disk, and both are somebody's */
	if (ret->pin_file != NULL)
		add_named(named, "PIN of a token", conf_text(conf_member(node, "pin_file")), 0);
}

static void
token_release(struct root_token *token)
{
	for (size_t i = 0; i < token->where.n_environment; i++)
		free(token->where.environment[i]);
	free(token->where.environment);
	free(token->where.module);
	free(token->where.label);
	free(token->where.serial);
	free(token->pin_file);
	free(token->pin_credential);
}

static void
read_shares(const struct conf_node *list, struct root_config *ret, struct named_list *named)
{
	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		const struct conf_node *replicas = conf_member(conf_at(list, i), "replicas"), *tokens = conf_member(conf_at(list, i), "tokens");
		struct root_share_config *share = MEM_PUSH(ret->shares, ret->n);

		for (size_t k = 0; k < conf_count(replicas); k++) {
			*MEM_PUSH(share->replicas, share->n) = mem_copy(conf_text(conf_at(replicas, k)));
			add_named(named, "directory of another replica", conf_text(conf_at(replicas, k)), conf_line(conf_at(replicas, k)));
		}
		if (tokens == NULL)
			continue;
		share->tokens = mem_zero(share->n, sizeof(*share->tokens));
		for (size_t k = 0; k < share->n; k++)
			read_token(conf_at(tokens, k), &share->tokens[k], named);
	}
}

/* an archive beside the share that opens it: one lost disk, and both are somebody's */
static void
add_destinations(const struct conf_node *list, struct named_list *named)
{
	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		const char *directory = conf_text(conf_member(conf_at(list, i), "directory"));

		if (directory != NULL)
			add_named(named, "directory of a destination", directory, 0);
	}
}

int
root_config_read(struct root_config *ret, const struct config *config, struct str *problems, struct err *err)
{
	static const struct {
		enum setting_id id;
		const char *what;
	} others[] = {
		{ SET_STATE_DIRECTORY, "state_directory" },
		{ SET_LEDGER_DIRECTORY, "ledger_directory" },
		{ SET_CERTIFICATE_DIRECTORY, "certificate_directory" },
		{ SET_MAP, "map" },
		{ SET_ISSUER_KEY, "issuer.key" },
		{ SET_KEYS_ANCHOR, "keys.anchor" },
		{ SET_ARCHIVES_KEY, "archives.key" },
	};
	CLEANUP(root_config_release) struct root_config read = { 0 };
	CLEANUP(named_release) struct named_list named = { 0 };
	CLEANUP(str_release) struct str unwanted = STR_INIT;
	struct reading r = { config, problems != NULL ? problems : &unwanted, 0 };

	read_shares(config_list(config, SET_KEYS_SHARES), &read, &named);
	read.anchor = mem_copy(config_text(config, SET_KEYS_ANCHOR));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		add_named(&named, others[i].what, config_text(config, others[i].id), 0);
	add_destinations(config_list(config, SET_ARCHIVES_DESTINATIONS), &named);
	check_all(&r, &named);
	if (r.count > 0) {
		(void)err_set(err, ERR_USAGE, "keys.shares of %s has %zu problem%s", config_path(config), r.count, r.count == 1 ? "" : "s");
		return problems == NULL ? err_hint(err, "%s", str_cstr(&unwanted)) : -1;
	}
	*ret = read;
	read = (struct root_config){ 0 };
	return 0;
}

bool
root_config_names_token(const struct config *config)
{
	const struct conf_node *list = config_list(config, SET_KEYS_SHARES);

	for (size_t i = 0; list != NULL && i < conf_count(list); i++)
		if (conf_member(conf_at(list, i), "tokens") != NULL)
			return true;
	return false;
}

void
root_config_release(struct root_config *config)
{
	for (size_t i = 0; i < config->n; i++) {
		for (size_t k = 0; k < config->shares[i].n; k++) {
			free(config->shares[i].replicas[k]);
			if (config->shares[i].tokens != NULL)
				token_release(&config->shares[i].tokens[k]);
		}
		free(config->shares[i].replicas);
		free(config->shares[i].tokens);
	}
	free(config->shares);
	free(config->anchor);
	*config = (struct root_config){ 0 };
}
