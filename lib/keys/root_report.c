/* What is told of the replicas of a root store. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/root_private.h"

const char *
root_verdict_text(enum root_verdict verdict)
{
	static const char *const texts[] = { "present", "destroyed", "not whole", "altered", "unavailable" };

	return texts[verdict];
}

const char *
root_state_text(enum root_state state)
{
	static const char *const texts[] = { "good", "unused", "absent", "unfinished", "damaged", "foreign", "stale", "disagrees",
		"unreadable", "no place", "gone", "not destroyed" };

	return texts[state];
}

void
root_replica_set(struct root_replica *replica, enum root_state state, const char *what, const char *remedy)
{
	replica->state = state;
	free(replica->what);
	free(replica->remedy);
	replica->what = mem_copy(what);
	replica->remedy = mem_copy(remedy);
}

struct root_replica *
root_report_add(struct root_report *report, const struct root_place *place, const struct root_id *id, enum root_state state,
	const struct err *why)
{
	struct root_replica *replica = MEM_PUSH(report->replicas, report->n);

	replica->id = *id;
	replica->share = place->marker.share;
	replica->replica = place->marker.replica;
	replica->path = mem_copy(place->path);
	root_replica_set(replica, state, why == NULL ? NULL : why->msg, why == NULL || why->hint[0] == '\0' ? NULL : why->hint);
	return replica;
}

void
root_report_release(struct root_report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		free(report->replicas[i].path);
		free(report->replicas[i].what);
		free(report->replicas[i].remedy);
	}
	free(report->replicas);
	*report = (struct root_report){ 0 };
}

size_t
root_report_problems(const struct root_report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n; i++)
		n += report->replicas[i].what != NULL;
	return n;
}

void
root_report_add_text(const struct root_report *report, struct str *ret)
{
	for (size_t i = 0; i < report->n; i++) {
		const struct root_replica *r = &report->replicas[i];

		if (r->what != NULL)
			str_addf(ret, "share %u, replica %u (%s): %s%s%s\n", r->share, r->replica, r->path, r->what,
				r->remedy == NULL || r->remedy[0] == '\0' ? "" : "; ", r->remedy == NULL ? "" : r->remedy);
	}
}

/* Whether all replicas of a share were found gone, and there are any. */
static bool
is_gone(const struct root_report *report, const struct root_id *id, uint32_t share)
{
	size_t n = 0, gone = 0;

	for (size_t i = 0; i < report->n; i++) {
		const struct root_replica *r = &report->replicas[i];

		if (r->share != share || !root_id_equal(&r->id, id))
			continue;
		n++;
		gone += r->state == ROOT_GONE || r->state == ROOT_ABSENT;
	}
	return n > 0 && gone == n;
}

uint32_t
root_report_shares_gone(const struct root_report *report, const struct root_id *id)
{
	uint32_t n = 0;

	for (uint32_t share = 1; share <= ROOT_SHARES_MAX; share++)
		n += is_gone(report, id, share);
	return n;
}

/* ---- devices ------------------------------------------------------------------------------- */

struct device {
	const struct root_place *place;
	dev_t device;
};

/* Whether whoever has the device has a replica of the share: one that is sealed by a token is nothing without that. */
static bool
is_on(const struct device *devices, size_t n, uint32_t share, dev_t device)
{
	for (size_t i = 0; i < n; i++)
		if (devices[i].place->marker.share == share && devices[i].device == device && devices[i].place->token == NULL)
			return true;
	return false;
}

static bool
holds_all(const struct root_store *store, const struct device *devices, size_t n, dev_t device)
{
	for (uint32_t share = 1; share <= store->n; share++)
		if (!is_on(devices, n, share, device))
			return false;
	return true;
}

static void
warn(const struct root_store *store, const struct device *devices, size_t n, struct str *ret)
{
	for (size_t i = 0; i < n; i++) {
		const struct device *a = &devices[i];

		for (size_t k = i + 1; k < n; k++)
			if (a->place->marker.share == devices[k].place->marker.share && a->device == devices[k].device)
				str_addf(ret, "share %u: %s and %s are on one device; one lost disk takes both\n", a->place->marker.share,
					a->place->path, devices[k].place->path);
		if (a->place->marker.share == 1 && store->n > 1 && !is_on(devices, i, 1, a->device) &&
		    holds_all(store, devices, n, a->device))
			str_addf(ret, "all %u shares are on the device of %s; whoever takes that disk has the root\n", store->n,
				a->place->path);
	}
}

void
root_device_warnings(struct root_store *store, struct str *ret)
{
	struct device devices[ROOT_SHARES_MAX * ROOT_REPLICAS_MAX];
	size_t n = 0;

	for (struct root_walk w = { .store = store }; root_next(&w);) {
		struct place on;

		if (w.driver->device(w.place, &on, NULL) == 0)
			devices[n++] = (struct device){ w.place, on.device };
	}
	warn(store, devices, n, ret);
}
