#include "account/rules.h"

#include <string.h>

#include "base/array.h"

void
closure_rules_read(const struct config *config, struct closure_rules *ret)
{
	const struct conf_node *rules = config_list(config, SET_CLOSURE_RULES);

	*ret = (struct closure_rules){ 0 };
	for (size_t i = 0; i < conf_count(rules); i++) {
		const struct conf_node *rule = conf_at(rules, i);

		array_add(&ret->triggers, conf_text(conf_member(rule, "trigger")));
		array_add(&ret->anchors, conf_text(conf_member(rule, "anchor")));
		array_add_int(&ret->days, conf_int(conf_member(rule, "days")));
		array_add(&ret->meanings, conf_text(conf_member(rule, "meaning")));
		array_add_int(&ret->within_days, conf_int(conf_member(rule, "within_days")));
	}
	(void)array_end(&ret->triggers);
	(void)array_end(&ret->anchors);
	(void)array_end(&ret->days);
	(void)array_end(&ret->meanings);
	(void)array_end(&ret->within_days);
}

void
closure_rules_release(struct closure_rules *rules)
{
	str_release(&rules->triggers);
	str_release(&rules->anchors);
	str_release(&rules->days);
	str_release(&rules->meanings);
	str_release(&rules->within_days);
}

int64_t
closure_store_days(const struct config *config, const char **ret_name)
{
	const struct conf_node *stores = config_list(config, SET_STORES);
	int64_t longest = 0;

	for (size_t i = 0; i < conf_count(stores); i++) {
		int64_t days = conf_int(conf_member(conf_at(stores, i), "retention_days"));

		if (days <= longest)
			continue;
		longest = days;
		if (ret_name != NULL)
			*ret_name = conf_text(conf_member(conf_at(stores, i), "name"));
	}
	return longest;
}

bool
closure_promise_of(const struct config *config, size_t i, struct closure_promise *ret, bool *ret_in_time)
{
	const struct conf_node *rule = conf_at(config_list(config, SET_CLOSURE_RULES), i);
	bool complete_by = strcmp(conf_text(conf_member(rule, "meaning")), "complete-by") == 0;
	int64_t first, last;

	*ret = (struct closure_promise){ .trigger = conf_text(conf_member(rule, "trigger")),
		.days = conf_int(conf_member(rule, "days")),
		.within_days = conf_int(conf_member(rule, "within_days")) };
	first = complete_by ? ret->days - ret->within_days + 1 : ret->days + 1;
	last = complete_by ? ret->days : ret->days + ret->within_days;
	ret->retention_days = closure_store_days(config, &ret->store);
	ret->leave_by = last - ret->retention_days;
	*ret_in_time = first <= ret->leave_by;
	return ret->store != NULL;
}
