/* settings_private: what the files that read settings share. */
#ifndef EXPUNGE_SVC_SETTINGS_PRIVATE_H
#define EXPUNGE_SVC_SETTINGS_PRIVATE_H

#include "svc/config.h"

#define PATH_MAX_BYTES 4095

/* A file that is being read, and what is wrong with it so far. */
struct reading {
	const char *path;
	struct str *problems;
	int count;
};

/* One line more: the file, the node's line (NULL: none) and what is wrong. */
void reading_complain(struct reading *r, const struct conf_node *node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Checks a setting that is a list. */
void reading_list(struct reading *r, const struct setting *s, const struct conf_node *list);

/* Tells a name that is not among `choices`, and the one that was probably meant. what: "a destination", or "" for the whole file. */
void reading_unknown(struct reading *r, const struct conf_node *node, const char *name, const char *choices, const char *what);

/* Names the members that none of `choices` has, and says whether there are any: a misspelt one would be read as absent. */
bool reading_has_unknown(struct reading *r, const struct conf_node *group, const char *choices, const char *what);

/* How accounts are closed: one group of closure.rules, of closure.subscriptions. */
void reading_closure_rule(struct reading *r, const struct conf_node *list, size_t i);
void reading_subscriptions(struct reading *r, const struct conf_node *list, size_t i);

/* Whether text is one of `choices`, separated by '|'. */
bool settings_is_choice(const char *choices, const char *text);

#endif
