/*
 * notice: what people are told, from templates that the operator may edit. DIRECTORY/NAME.txt begins with a line
 * "Subject: ...", then an empty one, then the text; DIRECTORY/NAME.html has the same words as HTML. {name} is a fact; {{ is
 * a brace. In HTML facts are escaped. A fact that is a date is shown in words: 2026-04-14 as 14 April 2026.
 */
#ifndef EXPUNGE_ACCOUNT_NOTICE_H
#define EXPUNGE_ACCOUNT_NOTICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct fact {
	const char *name;
	const char *value;
};

/* What this program tells of by itself, and the facts that it hands over: a template may use these, and tenant, processor and
 * notice_id. */
struct notice_kind {
	const char *name;
	const char *facts; /* separated by spaces */
};
extern const struct notice_kind notice_kinds[]; /* ended by a NULL name */

struct notice {
	struct str subject, text, html;
};
#define NOTICE_INIT { STR_INIT, STR_INIT, STR_INIT }
void notice_release(struct notice *notice);

/* One text with its facts. path: what errors call it, with the line; escape: as HTML. Pure. */
int notice_fill(struct str *ret, const char *path, int line, const char *text, const struct fact *facts, size_t n, bool escape,
	struct err *err);
/* Both files of a template. ERR_USAGE: a file is missing or malformed, or names what is not among the facts: "FILE:LINE: ...". */
int notice_render(struct notice *ret, const char *directory, const char *name, const struct fact *facts, size_t n, struct err *err);
/* Renders the template of a kind with made-up facts: whatever it is asked for later, it will do. */
int notice_rehearse(const char *directory, const struct notice_kind *kind, struct err *err);

#endif
