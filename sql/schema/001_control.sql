-- The control schema: requests, plans, key sets, holds, certificates and the record of every run.
-- Run by `expunge init` as a superuser, inside one transaction, with search_path = pg_catalog.
-- Everything belongs to expunge_owner (no login). No table of this schema holds a value of a
-- person's column other than keys, and those of a subject are gone once it is certified.

CREATE SCHEMA expunge AUTHORIZATION expunge_owner;
REVOKE ALL ON SCHEMA expunge FROM PUBLIC;
SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.migration (
	number     integer PRIMARY KEY,
	name       text NOT NULL,
	sha256     text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE expunge.migration IS 'which files of sql/schema this database has, each applied once';

CREATE TABLE expunge.instance (
	one               boolean PRIMARY KEY DEFAULT true CHECK (one),
	id                uuid NOT NULL DEFAULT gen_random_uuid(),
	system_identifier bigint NOT NULL,
	database_name     name NOT NULL,
	zone              text NOT NULL DEFAULT 'Europe/London',
	calendar          text NOT NULL DEFAULT 'england-wales'
	                  CHECK (calendar IN ('england-wales', 'scotland', 'northern-ireland')),
	undo_days         integer NOT NULL DEFAULT 7 CHECK (undo_days BETWEEN 0 AND 28),
	target_days       integer NOT NULL DEFAULT 28 CHECK (target_days BETWEEN 1 AND 90),
	opening_days      integer NOT NULL DEFAULT 30 CHECK (opening_days BETWEEN 1 AND 365),
	clock_accepted_at timestamptz NOT NULL DEFAULT now(),
	clock_accepted_run bigint NOT NULL DEFAULT 0,
	created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE expunge.instance IS 'who this installation is, and the policy settings that the SQL functions need; init copies them from the configuration';

CREATE TABLE expunge.tenant_login (
	login  name NOT NULL,
	tenant text NOT NULL CHECK (tenant <> ''),
	PRIMARY KEY (login, tenant)
);
COMMENT ON TABLE expunge.tenant_login IS 'which tenants a login speaks for; tenant * trusts SET expunge.tenant of that login';

CREATE TABLE expunge.mapped_table (
	id   smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE
);
COMMENT ON TABLE expunge.mapped_table IS 'a short number for each table a map ever named; stable across maps';

CREATE TABLE expunge.mapped_via (
	table_id smallint NOT NULL REFERENCES expunge.mapped_table,
	via      smallint NOT NULL,
	columns  text NOT NULL,
	PRIMARY KEY (table_id, via)
);
COMMENT ON TABLE expunge.mapped_via IS 'which columns a number in key_set.via stands for; stable across maps and schemas, because saved keys outlive both';

CREATE TABLE expunge.request (
	id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	kind            text NOT NULL DEFAULT 'subject-erasure' CHECK (kind IN ('subject-erasure', 'replay', 'test-subject', 'account-closure')),
	tenant          text NOT NULL CHECK (length(tenant) BETWEEN 1 AND 200),
	subject         text CHECK (length(subject) BETWEEN 1 AND 200),
	subject_hash    text,
	ground          text NOT NULL CHECK (ground ~ '^17-1-[a-g]$' OR (ground = '28-3-g' AND kind = 'account-closure')),
	channel         text NOT NULL DEFAULT 'api',
	requested_by    text,
	idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 200),
	filed_by        name NOT NULL DEFAULT session_user,
	filed_at        timestamptz NOT NULL DEFAULT now(),
	received_at     timestamptz NOT NULL,
	identified_at   timestamptz,
	identified_by   name,
	due_on          date,
	extended_on     date,
	extension_reason text,
	decided_at      timestamptz,
	decided_by      name,
	decision        text CHECK (decision IN ('accepted', 'partial', 'refused')),
	basis           text,
	approved_plan   text,
	not_before      timestamptz,
	state           text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'identified', 'scheduled',
	                'running', 'removed', 'certified', 'refused', 'withdrawn', 'blocked', 'failed')),
	reason          text,
	reason_at       timestamptz,
	attempts        integer NOT NULL DEFAULT 0,
	removed_at      timestamptz,
	removed_xid     text,
	removed_lsn     pg_lsn,
	waits_for       text[],
	controlled      boolean NOT NULL DEFAULT false,
	vacuumed        boolean,
	recounted_at    timestamptz,
	recounted_lsn   pg_lsn,
	certified_at    timestamptz,
	final_at        timestamptz,
	UNIQUE (tenant, idempotency_key),
	CHECK ((subject IS NULL) = (subject_hash IS NOT NULL AND state IN ('certified', 'refused', 'withdrawn'))),
	CHECK (state <> 'certified' OR certified_at IS NOT NULL),
	CHECK (final_at IS NULL OR state = 'certified'),
	CHECK (state NOT IN ('scheduled', 'running', 'removed') OR (decided_by IS NOT NULL AND approved_plan IS NOT NULL))
) WITH (fillfactor = 60); -- a row is written half a dozen times on its way, and most of its indexes need not hear of it
-- in which order they are certified, too: a batch looks at as many as it takes
CREATE INDEX request_state ON expunge.request (state, removed_at, id);
-- in which order they are removed: a batch looks at as many as it takes
CREATE INDEX request_scheduled ON expunge.request ((attempts > 0), due_on, received_at, id) WHERE state = 'scheduled';
CREATE INDEX request_subject ON expunge.request (tenant, subject);
CREATE UNIQUE INDEX request_open ON expunge.request (tenant, subject) WHERE state NOT IN ('certified', 'refused', 'withdrawn');
CREATE INDEX request_interim ON expunge.request (certified_at) WHERE state = 'certified' AND final_at IS NULL;
COMMENT ON COLUMN expunge.request.final_at IS 'when its final certificate was issued; NULL while the certificate is interim';
COMMENT ON COLUMN expunge.request.kind IS 'test-subject: of a patient that the support staff made, under the practice''s consent to that; replay: of an erasure that is certified, after its subject came back with a restored database; account-closure: a closed account from its certificate on, under the closure''s id';
COMMENT ON COLUMN expunge.request.requested_by IS 'what the application says; untrusted text, never printed in a certificate';
COMMENT ON COLUMN expunge.request.filed_by IS 'the authenticated role; must differ from decided_by';
COMMENT ON COLUMN expunge.request.subject IS 'the subject''s key as text; replaced by subject_hash at certification, or when the account is closed';
COMMENT ON COLUMN expunge.request.reason IS 'why blocked, failed or refused: a code and table names, never values';
COMMENT ON COLUMN expunge.request.controlled IS 'other subjects'' rows were compared before and after the removal';
COMMENT ON COLUMN expunge.request.vacuumed IS 'the dead rows of the removal are gone; NULL: nobody has tried yet';
COMMENT ON COLUMN expunge.request.waits_for IS 'virtual transaction ids and prepared transactions that were open when the removal committed';

CREATE TABLE expunge.plan (
	request_id uuid PRIMARY KEY REFERENCES expunge.request ON DELETE CASCADE,
	hash       text NOT NULL CHECK (hash ~ '^sha256:[0-9a-f]{64}$'),
	document   text NOT NULL,
	n_rows     bigint NOT NULL,
	n_new_rows bigint NOT NULL,
	blockers   text,
	approved_document text,
	made_at    timestamptz NOT NULL DEFAULT now(),
	made_by    name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE expunge.plan IS 'the newest plan of a request; the approval names its hash';
COMMENT ON COLUMN expunge.plan.approved_document IS 'the approved plan, where a newer one has taken its place';

CREATE TABLE expunge.key_set (
	request_id uuid NOT NULL,
	table_id   smallint NOT NULL,
	via        smallint NOT NULL,
	key        text[] NOT NULL,
	arrived    boolean NOT NULL DEFAULT false,
	round      smallint NOT NULL DEFAULT 0
);
-- no primary key: it could not name the collation, and bytes compare several times faster than a language's words
CREATE UNIQUE INDEX key_set_key ON expunge.key_set (request_id, table_id, via, key COLLATE "C");
-- large objects and files, among very many rows
CREATE INDEX key_set_contents ON expunge.key_set (request_id) WHERE via >= 100;
COMMENT ON TABLE expunge.key_set IS 'which rows an erasure took, by key; saved before the first delete, read by verify, dropped after the certificate';
COMMENT ON COLUMN expunge.key_set.via IS '0: the table''s key (or tableoid and ctid where it has none); from 1: other columns that something refers to';
COMMENT ON COLUMN expunge.key_set.arrived IS 'the row was created after the request was received';
COMMENT ON COLUMN expunge.key_set.round IS '0: planned; from 1: a row that the removal itself created';

CREATE TABLE expunge.control_set (LIKE expunge.key_set INCLUDING ALL);
COMMENT ON TABLE expunge.control_set IS 'rows of other subjects that a removal must leave as they were; filled and emptied inside its transaction';

CREATE TABLE expunge.tally (
	request_id    uuid NOT NULL REFERENCES expunge.request ON DELETE CASCADE,
	table_id      smallint NOT NULL REFERENCES expunge.mapped_table,
	class         text NOT NULL DEFAULT '',
	n_before      bigint NOT NULL DEFAULT 0,
	n_arrived     bigint NOT NULL DEFAULT 0,
	n_removed     bigint NOT NULL DEFAULT 0,
	n_masked      bigint NOT NULL DEFAULT 0,
	n_retained    bigint NOT NULL DEFAULT 0,
	n_created     bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (request_id, table_id),
	CHECK (n_before + n_arrived = n_removed + n_masked + n_retained)
);
COMMENT ON TABLE expunge.tally IS 'per request and table, counted by the removing statements themselves; a certificate adds what the recount found';
COMMENT ON COLUMN expunge.tally.n_created IS 'rows the removal itself created and removed again (triggers)';

CREATE TABLE expunge.recipient (
	request_id      uuid NOT NULL REFERENCES expunge.request ON DELETE CASCADE,
	name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	removed_xid     text NOT NULL,
	told_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
	acknowledged_at timestamptz,
	acknowledged_by name,
	PRIMARY KEY (request_id, name)
);
CREATE INDEX recipient_pending ON expunge.recipient (told_at) WHERE acknowledged_at IS NULL;
COMMENT ON TABLE expunge.recipient IS 'external stores of the data map that were told of an erasure (Article 19), and whether they have acknowledged';
COMMENT ON COLUMN expunge.recipient.acknowledged_by IS 'the login of the person who noted it; NULL: the store''s program said so';
COMMENT ON COLUMN expunge.recipient.removed_xid IS 'the removal it was told of; after another one it is told again';

CREATE TABLE expunge.request_store (
	request_id   uuid NOT NULL REFERENCES expunge.request ON DELETE CASCADE,
	name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	kind         text NOT NULL,
	declared     boolean NOT NULL,
	until        date NOT NULL,
	bound_until  date,
	ended_at     timestamptz,
	ended_how    text CHECK (ended_how IN ('declared', 'reported', 'stated')),
	ended_by     name,
	ended_reason text,
	PRIMARY KEY (request_id, name),
	CHECK ((ended_at IS NULL) = (ended_how IS NULL)),
	CHECK ((ended_how = 'stated') = (ended_by IS NOT NULL))
);
CREATE INDEX request_store_open ON expunge.request_store (name) WHERE ended_at IS NULL;
COMMENT ON TABLE expunge.request_store IS 'copies outside that may still hold rows of a certified request; its certificate is interim until each has ended';
COMMENT ON COLUMN expunge.request_store.declared IS 'false: the server showed it, and nobody had declared it';
COMMENT ON COLUMN expunge.request_store.until IS 'the last day of a copy by the longest retention that was ever declared since; never moves back';
COMMENT ON COLUMN expunge.request_store.bound_until IS 'the same as it stood at certification; NULL where the store was declared later';
COMMENT ON COLUMN expunge.request_store.ended_how IS 'declared: its days are over; reported: the server says so besides; stated: a person did (ended_by)';

CREATE TABLE expunge.opening (
	request_id uuid PRIMARY KEY,
	tenant     text NOT NULL,
	salt       text NOT NULL,
	subject    text NOT NULL,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE expunge.opening IS 'what opens subject-ref of a certificate: handed once to the practice, gone on its date';

CREATE TABLE expunge.hold (
	id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant       text NOT NULL,
	subject      text,
	kind         text NOT NULL CHECK (kind IN ('litigation', 'complaint', 'regulator', 'public-inquiry', 'police-or-court',
	             'safeguarding', 'open-access-request')),
	reason       text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
	review_on    date NOT NULL,
	placed_by    name NOT NULL DEFAULT session_user,
	placed_at    timestamptz NOT NULL DEFAULT now(),
	released_by  name,
	released_at  timestamptz
);
CREATE INDEX hold_open ON expunge.hold (tenant, subject) WHERE released_at IS NULL;
COMMENT ON COLUMN expunge.hold.subject IS 'NULL: the whole tenant';
COMMENT ON COLUMN expunge.hold.review_on IS 'raises a task; never releases the hold';

CREATE TABLE expunge.freeze (
	one       boolean PRIMARY KEY DEFAULT true CHECK (one),
	reason    text NOT NULL,
	frozen_by name NOT NULL DEFAULT session_user,
	frozen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE expunge.freeze IS 'a row stops every destructive step at the next batch';

CREATE TABLE expunge.cap_raise (
	id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
	raised_by name NOT NULL DEFAULT session_user,
	raised_at timestamptz NOT NULL DEFAULT now(),
	used_by   uuid
);
COMMENT ON TABLE expunge.cap_raise IS 'one raise lifts the caps for one run';

CREATE TABLE expunge.run (
	id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
	job         text NOT NULL,
	host        text NOT NULL,
	started_by  name NOT NULL DEFAULT session_user,
	started_at  timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	exit_code   integer,
	n_done      integer NOT NULL DEFAULT 0,
	n_blocked   integer NOT NULL DEFAULT 0,
	n_failed    integer NOT NULL DEFAULT 0,
	n_rows      bigint NOT NULL DEFAULT 0
);
CREATE INDEX run_job ON expunge.run (job, started_at);

CREATE TABLE expunge.certificate (
	serial       bigint PRIMARY KEY,
	id           text NOT NULL UNIQUE CHECK (id ~ '^[0-9a-f]{32}$'),
	kind         text NOT NULL,
	stage        text NOT NULL CHECK (stage IN ('interim', 'final')),
	tenant       text NOT NULL,
	request_id   uuid NOT NULL,
	note         text NOT NULL,
	issued_at    timestamptz NOT NULL DEFAULT now(),
	published_at timestamptz,
	UNIQUE (request_id, stage)
);
CREATE INDEX certificate_unpublished ON expunge.certificate (serial) WHERE published_at IS NULL;

CREATE TABLE expunge.certificate_counter (
	one  boolean PRIMARY KEY DEFAULT true CHECK (one),
	last bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE expunge.certificate_counter IS 'the last serial given; its row is locked by the transaction that issues, so serials have no gap';

CREATE TABLE expunge.event (
	number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at         timestamptz NOT NULL DEFAULT clock_timestamp(),
	actor      name NOT NULL DEFAULT session_user,
	kind       text NOT NULL,
	tenant     text,
	request_id uuid,
	detail     text
);
CREATE INDEX event_request ON expunge.event (request_id);
CREATE INDEX event_drill ON expunge.event (number) WHERE kind IN ('drill-passed', 'drill-failed');
COMMENT ON TABLE expunge.event IS 'append only: every change of state and every denied attempt; codes and ids, never values';

CREATE TABLE expunge.one_off_holiday (
	calendar text NOT NULL,
	day      date NOT NULL,
	name     text NOT NULL,
	works    boolean NOT NULL DEFAULT false,
	PRIMARY KEY (calendar, day)
);
COMMENT ON TABLE expunge.one_off_holiday IS 'bank holidays proclaimed for one year; the regular ones are computed';
COMMENT ON COLUMN expunge.one_off_holiday.works IS 'true: the regular holiday of this day was moved away in that year, the day is a working day';

RESET ROLE;
