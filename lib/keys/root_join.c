/* Putting a root together from what the replicas of its shares hold, and the verdict when that fails. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/root_private.h"

/* What honest replicas hold gives one combination; more are tried in case some were tampered with, but not for ever. */
#define TRIES_MAX 4096

/* The whole records that were found; `item` is their place in the report. */
struct found {
	struct root_record record;
	size_t item;
};

struct finds {
	struct secret bytes; /* struct found, as many as there are replicas */
	size_t n;
};

static struct found *
found_at(const struct finds *finds, size_t i)
{
	return (struct found *)(void *)finds->bytes.bytes + i;
}

static void
finds_release(struct finds *finds)
{
	secret_erase(&finds->bytes);
}

void
root_joined_release(struct root_joined *joined)
{
	secret_erase(&joined->root);
	secret_erase(&joined->records);
}

static struct root_record *
record_of(const struct root_joined *joined, uint32_t share)
{
	return (struct root_record *)(void *)joined->records.bytes + share;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A record that came whole, but is it the one that was asked for? */
static enum root_state
check_record(const struct root_store *store, const struct root_place *place, const struct root_id *id,
	const struct root_record *record, struct err *err)
{
	if (strcasecmp(record->instance, store->instance) != 0) {
		(void)err_set(err, ERR_FAILED, "its record is of instance %s", record->instance);
		return ROOT_FOREIGN;
	}
	if (root_id_equal(&record->id, id) && record->share == place->marker.share)
		return ROOT_GOOD;
	(void)err_set(err, ERR_FAILED, "under this root's name it has share %u of epoch %lld, attempt %s", record->share,
		(long long)record->id.epoch, record->id.attempt);
	return ROOT_STALE;
}

static void
read_replica(const struct root_store *store, uint32_t share, uint32_t replica, const struct root_id *id, struct finds *finds,
	struct root_report *report)
{
	const struct root_place *place = &store->shares[share].places[replica];
	CLEANUP(secret_erase) struct secret bytes = SECRET_INIT;
	struct found *found = found_at(finds, finds->n);
	struct err why = { 0 };
	enum root_state state = store->shares[share].driver->read(place, id, &bytes, &why);

	if (state == ROOT_GOOD && root_record_parse(bytes.bytes, bytes.n, &found->record, &why) != 0) {
		(void)err_prefix(&why, "its record is not as it was written");
		state = ROOT_DAMAGED;
	}
	if (state == ROOT_GOOD)
		state = check_record(store, place, id, &found->record, &why);
	(void)root_report_add(report, place, id, state, state == ROOT_GOOD ? NULL : &why);
	if (state != ROOT_GOOD)
		return;
	found->item = report->n - 1;
	finds->n++;
}

static void
read_replicas(const struct root_store *store, const struct root_id *id, struct finds *finds, struct root_report *report)
{
	size_t n = 0;

	for (uint32_t share = 0; share < store->n; share++)
		n += store->shares[share].n;
	/* one more, for the record that is looked at and not taken */
	secret_new(&finds->bytes, (n + 1) * sizeof(struct found));
	for (uint32_t share = 0; share < store->n; share++)
		for (uint32_t replica = 0; replica < store->shares[share].n; replica++)
			read_replica(store, share, replica, id, finds, report);
}

/* ---- joining ------------------------------------------------------------------------------- */

/* Records of one root say the same of its check value and of its number of shares. */
static bool
is_same_root(const struct root_record *a, const struct root_record *b)
{
	return a->n_shares == b->n_shares && memcmp(a->kcv, b->kcv, KCV_SIZE) == 0;
}

/* The records of one root that say something different of their shares. */
struct choice {
	const struct root_record *of[ROOT_SHARES_MAX][ROOT_REPLICAS_MAX];
	uint32_t n[ROOT_SHARES_MAX], at[ROOT_SHARES_MAX];
	uint32_t n_shares;
};

static void
collect(const struct finds *finds, const struct root_record *like, struct choice *ret)
{
	*ret = (struct choice){ .n_shares = like->n_shares };
	for (size_t i = 0; i < finds->n; i++) {
		const struct root_record *record = &found_at(finds, i)->record;
		uint32_t share = record->share - 1, known = 0;

		if (!is_same_root(record, like))
			continue;
		while (known < ret->n[share] && secret_equal(ret->of[share][known]->bytes, record->bytes, ROOT_SIZE) == 0)
			known++;
		if (known == ret->n[share])
			ret->of[share][ret->n[share]++] = record;
	}
}

/* The next combination; false after the last. */
static bool
advance(struct choice *choice)
{
	for (uint32_t share = 0; share < choice->n_shares; share++) {
		if (++choice->at[share] < choice->n[share])
			return true;
		choice->at[share] = 0;
	}
	return false;
}

static const struct root_record *
chosen(const struct choice *choice, uint32_t share)
{
	return choice->of[share][choice->at[share]];
}

/* *ret_fits: the shares chosen give a root of the check value that their records name. */
static int
try_choice(const struct choice *choice, struct secret *root, bool *ret_fits, struct err *err)
{
	uint8_t kcv[KCV_SIZE];

	(void)memset(root->bytes, 0, ROOT_SIZE);
	for (uint32_t share = 0; share < choice->n_shares; share++)
		for (size_t i = 0; i < ROOT_SIZE; i++)
			root->bytes[i] ^= chosen(choice, share)->bytes[i];
	if (kcv_of(root->bytes, kcv, err) != 0)
		return -1;
	*ret_fits = secret_equal(kcv, chosen(choice, 0)->kcv, KCV_SIZE) != 0;
	return 0;
}

/* Looks for a root of the check value that `like` names. ret->root stays empty if there is none. */
static int
join_like(const struct finds *finds, const struct root_record *like, struct root_joined *ret, struct err *err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	struct choice choice;
	bool fits = false;

	collect(finds, like, &choice);
	for (uint32_t share = 0; share < choice.n_shares; share++)
		if (choice.n[share] == 0)
			return 0;
	secret_new(&root, ROOT_SIZE);
	for (int tries = 0; !fits; tries++) {
		if (try_choice(&choice, &root, &fits, err) != 0)
			return -1;
		if (!fits && (tries >= TRIES_MAX || !advance(&choice)))
			return 0;
	}
	secret_new(&ret->records, choice.n_shares * sizeof(struct root_record));
	for (uint32_t share = 0; share < choice.n_shares; share++)
		*record_of(ret, share) = *chosen(&choice, share);
	ret->n_shares = choice.n_shares;
	ret->root = root;
	root = (struct secret)SECRET_INIT;
	return 0;
}

/* The root that the records give. Two different whole ones under one name are no root: *ret_two. */
static int
join_all(const struct finds *finds, struct root_joined *ret, bool *ret_two, struct err *err)
{
	*ret_two = false;
	for (size_t i = 0; i < finds->n; i++) {
		const struct root_record *record = &found_at(finds, i)->record;
		CLEANUP(root_joined_release) struct root_joined joined = ROOT_JOINED_INIT;
		bool known = false;

		for (size_t k = 0; k < i && !known; k++)
			known = is_same_root(&found_at(finds, k)->record, record);
		if (known)
			continue;
		if (join_like(finds, record, &joined, err) != 0)
			return -1;
		if (joined.root.n == 0)
			continue;
		*ret_two = ret->root.n > 0;
		root_joined_release(ret);
		if (*ret_two)
			return 0;
		*ret = joined;
		joined = (struct root_joined)ROOT_JOINED_INIT;
	}
	return 0;
}

/* ---- the verdict --------------------------------------------------------------------------- */

/* Which of the whole records are not part of the root, and which places had no need to have one. */
static void
tell_apart(const struct finds *finds, const struct root_joined *joined, struct root_report *report, size_t first)
{
	for (size_t i = 0; i < finds->n; i++) {
		const struct root_record *record = &found_at(finds, i)->record;

		if (record->share > joined->n_shares || !is_same_root(record, record_of(joined, 0)) ||
		    secret_equal(record->bytes, record_of(joined, record->share - 1)->bytes, ROOT_SIZE) == 0)
			root_replica_set(&report->replicas[found_at(finds, i)->item], ROOT_DISAGREES,
				"its record does not go with the others", "move it away; the next run writes it again from a good one");
	}
	for (size_t i = first; i < report->n; i++)
		if (report->replicas[i].share > joined->n_shares && report->replicas[i].state == ROOT_ABSENT)
			root_replica_set(&report->replicas[i], ROOT_UNUSED, NULL, NULL);
}

static bool
is_out_of_reach(enum root_state state)
{
	return state == ROOT_NO_PLACE || state == ROOT_UNREADABLE;
}

static bool
is_bad_record(enum root_state state)
{
	return state == ROOT_DAMAGED || state == ROOT_FOREIGN || state == ROOT_STALE || state == ROOT_DISAGREES;
}

/* How the replicas of one share were found. */
struct tally {
	size_t n, good, bad, absent, out_of_reach;
};

static struct tally
count_share(const struct root_report *report, size_t first, uint32_t share)
{
	struct tally tally = { 0 };

	for (size_t i = first; i < report->n; i++) {
		enum root_state state = report->replicas[i].state;

		if (report->replicas[i].share != share)
			continue;
		tally.n++;
		tally.good += state == ROOT_GOOD;
		tally.bad += is_bad_record(state);
		tally.absent += state == ROOT_ABSENT;
		tally.out_of_reach += is_out_of_reach(state);
	}
	return tally;
}

/* How many shares the root has, by the records that were found; without any, as many as are configured. */
static uint32_t
shares_needed(const struct root_store *store, const struct finds *finds)
{
	uint32_t needed = 0;

	for (size_t i = 0; i < finds->n; i++)
		if (found_at(finds, i)->record.n_shares > needed)
			needed = found_at(finds, i)->record.n_shares;
	return needed == 0 ? store->n : needed;
}

/* The verdict when there is no root. What is final comes first: a share of which every place was seen, and only bad records;
 * then what may change when a place is back; and only when every place was seen and holds nothing, destroyed. */
static enum root_verdict
judge(const struct root_store *store, const struct finds *finds, const struct root_report *report, size_t first)
{
	uint32_t needed = shares_needed(store, finds);
	bool altered = false, out_of_reach = needed > store->n, lacking = out_of_reach, absent = true;

	for (uint32_t share = 1; share <= needed && share <= store->n; share++) {
		struct tally tally = count_share(report, first, share);

		lacking |= tally.good == 0;
		altered |= tally.good == 0 && tally.out_of_reach == 0 && tally.bad > 0;
		out_of_reach |= tally.out_of_reach > 0;
		absent &= tally.absent == tally.n;
	}
	/* every share has a whole record, and still they do not give the root that they name */
	if (altered || !lacking)
		return ROOT_ALTERED;
	if (out_of_reach)
		return ROOT_UNAVAILABLE;
	return absent ? ROOT_DESTROYED : ROOT_PARTIAL;
}

static const char *
remedy_of(enum root_verdict verdict)
{
	switch (verdict) {
	case ROOT_DESTROYED:
		return "if it was destroyed on purpose, the database is behind: expunge restore --adopt; if not, bring back a copy of each share";
	case ROOT_PARTIAL:
		return "bring back a copy of the share that is missing; without one what was sealed under this root is lost";
	case ROOT_ALTERED:
		return "bring back a copy of the altered share, and find out who changed it";
	default:
		return "bring back the places named, and try again; no key is lost yet";
	}
}

static bool
is_cause(const struct root_replica *r, enum root_verdict verdict)
{
	return r->what != NULL && verdict != ROOT_DESTROYED && (verdict != ROOT_UNAVAILABLE || is_out_of_reach(r->state));
}

/* The places that stand between the caller and the root. What helps the first of them helps more than what could be said
 * of any. */
static const char *
add_causes(const struct root_report *report, size_t first, enum root_verdict verdict, struct str *ret)
{
	const char *remedy = NULL;

	for (size_t i = first; i < report->n; i++) {
		const struct root_replica *r = &report->replicas[i];

		if (!is_cause(r, verdict))
			continue;
		str_addf(ret, "; share %u, replica %u (%s): %s", r->share, r->replica, r->path, r->what);
		if (remedy == NULL)
			remedy = r->remedy;
	}
	return remedy != NULL ? remedy : remedy_of(verdict);
}

int
root_join(struct root_store *store, const struct root_id *id, struct root_joined *ret, enum root_verdict *ret_verdict,
	struct root_report *report, struct err *err)
{
	CLEANUP(finds_release) struct finds finds = { SECRET_INIT, 0 };
	CLEANUP(str_release) struct str causes = STR_INIT;
	size_t first = report->n;
	const char *remedy;
	bool two;

	*ret_verdict = ROOT_UNAVAILABLE;
	if (!root_id_is_valid(id))
		return err_set(err, ERR_FAILED, "reading a root: its epoch or attempt is malformed");
	read_replicas(store, id, &finds, report);
	if (join_all(&finds, ret, &two, err) != 0)
		return -1;
	if (ret->root.n > 0) {
		tell_apart(&finds, ret, report, first);
		*ret_verdict = ROOT_PRESENT;
		return 0;
	}
	*ret_verdict = judge(store, &finds, report, first);
	if (two)
		str_add(&causes, "; there are two of this name");
	if (shares_needed(store, &finds) > store->n)
		str_addf(&causes, "; it has %u shares, and %u are configured", shares_needed(store, &finds), store->n);
	remedy = add_causes(report, first, *ret_verdict, &causes);
	(void)err_set(err, ERR_FAILED, "the root of epoch %lld, attempt %s, is %s%s", (long long)id->epoch, id->attempt,
		root_verdict_text(*ret_verdict), str_cstr(&causes));
	return err_hint(err, "%s", remedy);
}
