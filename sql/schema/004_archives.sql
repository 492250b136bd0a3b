-- Sealed archives: which there are, and where. The files say nothing of tenants; this table does.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.archive (
	id           text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{64}$'),
	tenant       text NOT NULL CHECK (tenant <> ''),
	generation   bigint NOT NULL UNIQUE REFERENCES expunge.key_leaf,
	kind         text NOT NULL DEFAULT 'backup' CHECK (kind IN ('backup', 'dormant')),
	state        text NOT NULL DEFAULT 'naming' CHECK (state IN ('naming', 'complete', 'expired')),
	created_at   timestamptz NOT NULL,
	lsn          pg_lsn NOT NULL,
	sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	size         bigint NOT NULL,
	n_frames     bigint NOT NULL,
	n_rows       bigint NOT NULL,
	n_withheld   bigint NOT NULL,
	destinations text[] NOT NULL,
	sending      text[] NOT NULL DEFAULT '{}',
	needs        text[] NOT NULL DEFAULT '{}',
	damaged      text[] NOT NULL DEFAULT '{}',
	finished_at  timestamptz,
	seq          bigint NOT NULL,
	CHECK ((state = 'naming') = (finished_at IS NULL)),
	CHECK (state = 'expired' OR cardinality(destinations) > 0)
);
CREATE INDEX archive_seq ON expunge.archive (seq);
CREATE INDEX archive_needs ON expunge.archive USING gin (needs);
CREATE INDEX archive_created ON expunge.archive (created_at);
CREATE INDEX archive_tenant ON expunge.archive (tenant, created_at);
COMMENT ON TABLE expunge.archive IS 'every archive that is under its final name somewhere';
COMMENT ON COLUMN expunge.archive.generation IS 'the leaf key without which the archive opens for nobody';
COMMENT ON COLUMN expunge.archive.state IS 'naming: read back everywhere, and about to get its name; the next run finds out how far that came; expired: its key is shredded, and its files go';
COMMENT ON COLUMN expunge.archive.lsn IS 'where the write-ahead log was when the snapshot had been taken';
COMMENT ON COLUMN expunge.archive.seq IS 'key_seq of its last change: the journal carries the catalogue, too';
COMMENT ON COLUMN expunge.archive.sha256 IS 'of all before the archive''s footer: what its signature speaks of';
COMMENT ON COLUMN expunge.archive.n_withheld IS 'subjects that were left out because their keys are shredded';
COMMENT ON COLUMN expunge.archive.destinations IS 'names in the configuration; complete: where it is; expired: where its file has not been removed yet';
COMMENT ON COLUMN expunge.archive.needs IS 'archives whose files hold rows of it that had not changed: these files stay while it has not expired';
COMMENT ON COLUMN expunge.archive.sending IS 'destinations that are commands, and have not taken it yet: they may have parts of it; the next backup sends it again';
COMMENT ON COLUMN expunge.archive.damaged IS 'destinations whose copy the last verification found bad, or could not read; the journal does not have this';

RESET ROLE;
