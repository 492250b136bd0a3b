/* Finding roots and destroying them. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "keys/root_private.h"

static int
by_age(const void *a, const void *b)
{
	const struct root_id *x = a, *y = b;

	return x->epoch != y->epoch ? (x->epoch > y->epoch) - (x->epoch < y->epoch) : strcmp(x->attempt, y->attempt);
}

int
root_list(struct root_store *store, struct root_ids *ret, bool *ret_complete, struct root_report *report, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	static const struct root_id none = { 0 };
	bool any = false;

	*ret_complete = true;
	for (struct root_walk w = { .store = store }; root_next(&w);) {
		struct err why = { 0 };

		if (w.driver->list(w.place, &ids, &why) == 0) {
			any = true;
			continue;
		}
		*ret_complete = false;
		if (report != NULL)
			(void)root_report_add(report, w.place, &none, ROOT_NO_PLACE, &why);
		if (err != NULL)
			*err = why;
	}
	if (!any)
		return err_prefix(err, "listing roots: no place is there");
	err_clear(err);
	if (ids.n > 0)
		qsort(ids.ids, ids.n, sizeof(*ids.ids), by_age);
	*ret = ids;
	ids = (struct root_ids){ 0 };
	return 0;
}

int
root_destroy(struct root_store *store, const struct root_id *id, struct root_report *report, struct err *err)
{
	size_t n = 0, failed = 0;
	struct err first = { 0 };

	if (!root_id_is_valid(id))
		return err_set(err, ERR_FAILED, "destroying a root: its epoch or attempt is malformed");
	for (struct root_walk w = { .store = store }; root_next(&w); n++) {
		struct place on = { 0 };
		struct err why = { 0 };
		enum root_state state = w.driver->destroy(w.place, id, &on, &why);
		bool gone = state == ROOT_GONE || state == ROOT_ABSENT;

		if (report != NULL)
			root_report_add(report, w.place, id, state, gone ? NULL : &why)->place = on;
		if (!gone && failed++ == 0)
			first = why;
	}
	if (failed == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "destroying the root of epoch %lld, attempt %s: %zu of %zu replicas may still hold it: %s",
		(long long)id->epoch, id->attempt, failed, n, first.msg);
	return err_hint(err, "%s", first.hint);
}

/* The roots to be kept are there, and nothing is of a later epoch: else whoever asks is behind, or has been overtaken while
 * it was away, and the later root is the one that living keys hang on. */
static int
check_keep(struct root_store *store, const struct root_id *keep, size_t n_keep, const struct root_ids *ids,
	struct root_report *report, struct err *err)
{
	int64_t newest = 0;

	if (n_keep == 0)
		return err_set(err, ERR_REFUSED, "destroying retired roots: none is named that is to be kept");
	for (size_t i = 0; i < n_keep; i++) {
		CLEANUP(secret_erase) struct secret root = SECRET_INIT;
		enum root_verdict verdict;

		if (root_read(store, &keep[i], &root, &verdict, report, err) != 0) {
			if (err != NULL)
				err->code = ERR_REFUSED;
			return err_prefix(err, "destroying retired roots");
		}
		newest = keep[i].epoch > newest ? keep[i].epoch : newest;
	}
	for (size_t i = 0; i < ids->n; i++)
		if (ids->ids[i].epoch > newest) {
			(void)err_set(err, ERR_REFUSED, "destroying retired roots: there is one of epoch %lld, and the newest known is %lld",
				(long long)ids->ids[i].epoch, (long long)newest);
			return err_hint(err, "the database is behind its root store: expunge restore --adopt");
		}
	return 0;
}

int
root_destroy_others(struct root_store *store, const struct root_id *keep, size_t n_keep, struct root_ids *ret_destroyed,
	struct root_report *report, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 }, others = { 0 };
	bool complete;
	int failed = 0;

	if (root_list(store, &ids, &complete, report, err) != 0 || check_keep(store, keep, n_keep, &ids, report, err) != 0)
		return -1;
	for (size_t i = 0; i < n_keep; i++)
		root_ids_add(&others, &keep[i]);
	for (size_t i = 0; i < ids.n; i++) {
		if (root_ids_have(&others, &ids.ids[i]))
			continue;
		if (ret_destroyed != NULL)
			root_ids_add(ret_destroyed, &ids.ids[i]);
		if (root_destroy(store, &ids.ids[i], report, err) != 0)
			failed = -1;
	}
	if (failed == 0 && !complete) {
		(void)err_set(err, ERR_FAILED, "destroying retired roots: not every place could be looked at");
		failed = err_hint(err, "bring back the places that expunge keys status names");
	}
	return failed;
}
