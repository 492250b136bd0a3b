/* The settings that say how accounts are closed. */
#include <string.h>

#include "base/parse.h"
#include "svc/settings_private.h"

#define TRIGGERS "cancellation|expiry|termination"
#define NAME_MAX_BYTES 63 /* what the server keeps of one */
#define STATUS_MAX_BYTES 200
#define STATUSES_MAX 32

static bool
is_between(const struct conf_node *node, int64_t min, int64_t max)
{
	return conf_type(node) == CONF_INT && conf_int(node) >= min && conf_int(node) <= max;
}

static bool
is_one_of(const struct conf_node *node, const char *choices)
{
	return conf_text(node) != NULL && settings_is_choice(choices, conf_text(node));
}

/* Nothing of a promise has a default. */
void
reading_closure_rule(struct reading *r, const struct conf_node *list, size_t i)
{
	const struct conf_node *rule = conf_at(list, i);
	const struct conf_node *trigger = conf_member(rule, "trigger"), *anchor = conf_member(rule, "anchor");
	const struct conf_node *days = conf_member(rule, "days"), *meaning = conf_member(rule, "meaning");
	const struct conf_node *within = conf_member(rule, "within_days");

	if (reading_has_unknown(r, rule, "trigger|anchor|days|meaning|within_days", "a rule of closure"))
		return;
	if (conf_type(rule) != CONF_GROUP || conf_count(rule) != 5) {
		reading_complain(r, rule, "a rule of closure is { trigger = \"cancellation\"; anchor = \"paid-until\"; days = N; "
			"meaning = \"not-before\"; within_days = N; }");
		return;
	}
	if (!is_one_of(trigger, TRIGGERS))
		reading_complain(r, trigger, "the trigger of a rule must be one of %s", TRIGGERS);
	if (!is_one_of(anchor, "paid-until|told"))
		reading_complain(r, anchor, "the anchor of a rule must be one of paid-until|told");
	if (!is_one_of(meaning, "not-before|complete-by"))
		reading_complain(r, meaning, "the meaning of a rule must be one of not-before|complete-by");
	if (!is_between(days, 1, 3650))
		reading_complain(r, days, "days of a rule must be between 1 and 3650");
	if (!is_between(within, 1, 365))
		reading_complain(r, within, "within_days of a rule must be between 1 and 365");
	else if (conf_int(within) >= conf_int(days) && is_one_of(meaning, "complete-by"))
		reading_complain(r, within, "within_days of a rule that is complete-by must be less than its days");
	for (size_t j = 0; j < i && conf_text(trigger) != NULL; j++) {
		const char *other = conf_text(conf_member(conf_at(list, j), "trigger"));

		if (other != NULL && strcmp(other, conf_text(trigger)) == 0)
			reading_complain(r, rule, "there are two rules for %s", other);
	}
}

static void
read_statuses(struct reading *r, const struct conf_node *subscriptions, const char *name)
{
	const struct conf_node *statuses = conf_member(subscriptions, name);

	if (conf_type(statuses) != CONF_LIST || conf_count(statuses) < 1 || conf_count(statuses) > STATUSES_MAX) {
		reading_complain(r, statuses, "%s of subscriptions is a list of 1 to %d texts", name, STATUSES_MAX);
		return;
	}
	for (size_t i = 0; i < conf_count(statuses); i++) {
		const char *text = conf_text(conf_at(statuses, i));

		if (text == NULL || !parse_is_plain_text(text, STATUS_MAX_BYTES))
			reading_complain(r, conf_at(statuses, i), "%s of subscriptions has texts of 1 to %d bytes", name, STATUS_MAX_BYTES);
	}
}

/* A status that stood in two lists would open and close the same account. */
static void
check_statuses(struct reading *r, const struct conf_node *subscriptions)
{
	static const char *const lists[] = { "open", "closed", "expired" };

	for (size_t a = 0; a < 3; a++)
		for (size_t b = 0; b < a; b++)
			for (size_t i = 0; i < conf_count(conf_member(subscriptions, lists[a])); i++)
				for (size_t j = 0; j < conf_count(conf_member(subscriptions, lists[b])); j++) {
					const struct conf_node *one = conf_at(conf_member(subscriptions, lists[a]), i);
					const char *other = conf_text(conf_at(conf_member(subscriptions, lists[b]), j));

					if (conf_text(one) != NULL && other != NULL && strcmp(conf_text(one), other) == 0)
						reading_complain(r, one, "status \"%s\" is in %s and in %s", other, lists[a], lists[b]);
				}
}

void
reading_subscriptions(struct reading *r, const struct conf_node *list, size_t i)
{
	static const char *const required[] = { "table", "tenant", "status", "paid_until" };
	static const char *const columns[] = { "tenant", "status", "paid_until", "cancelled_at", "reason", "zone" };
	const struct conf_node *subscriptions = conf_at(list, i), *table = conf_member(subscriptions, "table");

	if (i == 1)
		reading_complain(r, subscriptions, "the subscriptions are in one table, or one view");
	if (reading_has_unknown(r, subscriptions, "table|tenant|status|open|closed|expired|paid_until|cancelled_at|reason|zone", "subscriptions"))
		return;
	for (size_t k = 0; k < sizeof(required) / sizeof(required[0]); k++)
		if (conf_member(subscriptions, required[k]) == NULL) {
			reading_complain(r, subscriptions, "subscriptions are { table = \"schema.name\"; tenant = \"column\"; status = \"column\"; "
				"open = [ ... ]; closed = [ ... ]; paid_until = \"column\"; }, perhaps with expired, cancelled_at, reason and zone");
			return;
		}
	if (conf_text(table) == NULL || !parse_is_plain_text(conf_text(table), 2 * NAME_MAX_BYTES + 5))
		reading_complain(r, table, "the table of subscriptions is \"schema.name\"");
	for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++) {
		const struct conf_node *column = conf_member(subscriptions, columns[k]);

		if (column != NULL && (conf_text(column) == NULL || !parse_is_plain_text(conf_text(column), NAME_MAX_BYTES)))
			reading_complain(r, column, "%s of subscriptions is the name of a column", columns[k]);
	}
	read_statuses(r, subscriptions, "open");
	read_statuses(r, subscriptions, "closed");
	if (conf_member(subscriptions, "expired") != NULL)
		read_statuses(r, subscriptions, "expired");
	check_statuses(r, subscriptions);
}
