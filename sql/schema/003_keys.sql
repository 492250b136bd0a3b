-- The key tree: pages, leaf keys and their tombstones, and changes of the root. Whoever reads these tables reads sealed
-- rows: the root that opens them is outside the database and outside every backup. Every version of every row may be
-- known to everybody; doc/keys.md says why that does no harm.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.key_tree (
	one       boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch     bigint NOT NULL CHECK (epoch > 0),
	attempt   text NOT NULL CHECK (attempt ~ '^[0-9a-f]{32}$'),
	key_seq   bigint NOT NULL DEFAULT 0,
	changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE expunge.key_tree IS 'which root opens the pages; locked by every transaction that writes keys, so that there is one writer at a time';
COMMENT ON COLUMN expunge.key_tree.attempt IS 'which of the roots that were made for this epoch it is';
COMMENT ON COLUMN expunge.key_tree.key_seq IS 'of the last transaction that wrote keys; its rows carry the same number, and the journal follows it';

CREATE TABLE expunge.key_nonce (
	number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	nonce    text NOT NULL UNIQUE CHECK (nonce ~ '^[0-9a-f]{32}$'),
	timeline bigint NOT NULL CHECK (timeline > 0),
	drawn_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE expunge.key_nonce IS 'every nonce that a run of this database has drawn; the last one is what anchor and journals should show, and one in the anchor or a journal that is not among them was drawn by another copy';
COMMENT ON COLUMN expunge.key_nonce.timeline IS 'of the server at that time: a restored or promoted one is on another';

CREATE SEQUENCE expunge.key_id AS bigint;

-- a page is one value of 2 KB that does not compress: kept in the row, three rows a block
CREATE TABLE expunge.key_page (
	id     bigint PRIMARY KEY,
	tenant text NOT NULL,
	parent bigint NOT NULL,
	slot   smallint NOT NULL CHECK (slot BETWEEN 0 AND 63),
	level  smallint NOT NULL CHECK (level >= 0),
	epoch  bigint NOT NULL,
	kcv    bytea NOT NULL CHECK (octet_length(kcv) = 16),
	live   bigint NOT NULL,
	sealed bytea NOT NULL CHECK (octet_length(sealed) = 2084),
	seq    bigint NOT NULL,
	UNIQUE (parent, slot) DEFERRABLE INITIALLY DEFERRED
) WITH (toast_tuple_target = 4080);
ALTER TABLE expunge.key_page ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX key_page_room ON expunge.key_page (tenant, level, id) WHERE live <> -1;
CREATE INDEX key_page_top ON expunge.key_page (tenant, level DESC);
CREATE INDEX key_page_seq ON expunge.key_page (seq);
COMMENT ON TABLE expunge.key_page IS 'the keys of up to 64 children, sealed under the page''s own key, which is in the parent''s slot';
COMMENT ON COLUMN expunge.key_page.tenant IS 'empty: a page of the directory, which holds the tenants'' top pages';
COMMENT ON COLUMN expunge.key_page.parent IS '0: sealed under the root';
COMMENT ON COLUMN expunge.key_page.kcv IS 'check value of the page''s key';
COMMENT ON COLUMN expunge.key_page.live IS 'which slots are taken, one bit each; the same as inside the seal';

CREATE TABLE expunge.key_leaf (
	id             bigint PRIMARY KEY,
	tenant         text NOT NULL CHECK (tenant <> ''),
	kind           text NOT NULL CHECK (kind IN ('subject', 'tenant', 'record', 'generation')),
	name           text CHECK (name <> ''),
	name_hash      text,
	sealed_name    bytea,
	incarnation    integer NOT NULL DEFAULT 1 CHECK (incarnation > 0),
	page           bigint,
	slot           smallint CHECK (slot BETWEEN 0 AND 63),
	kcv            bytea NOT NULL CHECK (octet_length(kcv) = 16),
	made_epoch     bigint NOT NULL,
	shredded_epoch bigint,
	retired        boolean NOT NULL DEFAULT false,
	seq            bigint NOT NULL,
	CHECK ((shredded_epoch IS NULL) = (name IS NOT NULL AND page IS NOT NULL AND slot IS NOT NULL)),
	CHECK ((shredded_epoch IS NULL) = (name_hash IS NULL)),
	CHECK ((shredded_epoch IS NULL) = (sealed_name IS NOT NULL))
);
CREATE UNIQUE INDEX key_leaf_living ON expunge.key_leaf (tenant, kind, name, incarnation) WHERE shredded_epoch IS NULL;
CREATE UNIQUE INDEX key_leaf_dead ON expunge.key_leaf (tenant, kind, name_hash, incarnation) WHERE shredded_epoch IS NOT NULL;
CREATE UNIQUE INDEX key_leaf_place ON expunge.key_leaf (page, slot) WHERE shredded_epoch IS NULL;
CREATE INDEX key_leaf_generation ON expunge.key_leaf (id) WHERE kind = 'generation' AND shredded_epoch IS NULL;
CREATE INDEX key_leaf_seq ON expunge.key_leaf (seq);
COMMENT ON TABLE expunge.key_leaf IS 'a key that archives are sealed under, and its place in the tree; shredded, the row is its tombstone';
COMMENT ON COLUMN expunge.key_leaf.retired IS 'its subject is lost with a database that was restored: archives open with it, and nothing is sealed under it any more';
COMMENT ON COLUMN expunge.key_leaf.name IS 'subject''s key, record or generation; gone once it is shredded';
COMMENT ON COLUMN expunge.key_leaf.sealed_name IS 'the name under a key derived from the leaf''s own: what the journal keeps, for ever, says whom a leaf was for only while it lives';
COMMENT ON COLUMN expunge.key_leaf.name_hash IS 'keyed hash of tenant and name, from then on: no leaf is made again for a subject that a backup still sees';

CREATE TABLE expunge.key_gone (
	tenant text PRIMARY KEY CHECK (tenant <> ''),
	epoch  bigint NOT NULL,
	seq    bigint NOT NULL
);
CREATE INDEX key_gone_seq ON expunge.key_gone (seq);
COMMENT ON TABLE expunge.key_gone IS 'tenants that were shredded as a whole: no leaf of theirs from before this epoch lives, and none is made for a backup that still sees their rows';

CREATE TABLE expunge.key_change (
	attempt     text PRIMARY KEY CHECK (attempt ~ '^[0-9a-f]{32}$'),
	epoch       bigint NOT NULL,
	state       text NOT NULL DEFAULT 'intent' CHECK (state IN ('intent', 'committed', 'verified', 'journalled',
	            'destroyed', 'drilled', 'done', 'abandoned')),
	leaves      bigint[] NOT NULL,
	leaves_hash text NOT NULL,
	tenants     text[] NOT NULL DEFAULT '{}',
	n_pages     bigint,
	n_live      bigint,
	seq         bigint,
	n_shares    integer,
	drivers     text[],
	barrier_lsn pg_lsn,
	barrier_timeline bigint,
	barrier     text,
	started_at  timestamptz NOT NULL DEFAULT now(),
	changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX key_change_open ON expunge.key_change ((true)) WHERE state NOT IN ('done', 'abandoned');
COMMENT ON TABLE expunge.key_change IS 'each change of the root, and how far it has come; one at a time';
COMMENT ON COLUMN expunge.key_change.tenants IS 'that go as a whole; leaves_hash covers them';
COMMENT ON COLUMN expunge.key_change.epoch IS 'that it ends; 0: there was no tree before';
COMMENT ON COLUMN expunge.key_change.n_pages IS 'that were sealed anew; n_live: with so many keys left in them; seq: the key_seq that they carry';
COMMENT ON COLUMN expunge.key_change.drivers IS 'of each share of the old root that was destroyed on all of its replicas: driver and file system';
COMMENT ON COLUMN expunge.key_change.barrier_lsn IS 'how far standbys and archived WAL must have come, as keys.barriers says, before the old root is destroyed; barrier_timeline: on this timeline';
COMMENT ON COLUMN expunge.key_change.barrier IS 'what it has waited for in vain';

CREATE TABLE expunge.request_leaf (
	request_id uuid NOT NULL,
	leaf_id    bigint NOT NULL REFERENCES expunge.key_leaf DEFERRABLE, -- an adoption replaces all leaves
	PRIMARY KEY (request_id, leaf_id)
);
CREATE INDEX request_leaf_leaf ON expunge.request_leaf (leaf_id);
COMMENT ON TABLE expunge.request_leaf IS 'the leaf keys that go with an erasure';

RESET ROLE;
