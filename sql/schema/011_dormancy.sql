-- Accounts whose rows have left the live database before their purge: sealed into archives of their own, which no schedule
-- expires, and loaded back when the practice comes back.
-- Run by `expunge init` as a superuser, inside one transaction.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.dormancy (
	closure_id uuid PRIMARY KEY REFERENCES expunge.closure ON DELETE CASCADE,
	tenant     text NOT NULL,
	phase      text NOT NULL DEFAULT 'sealed' CHECK (phase IN ('sealed', 'dormant', 'waking', 'awake')),
	begun_at   timestamptz NOT NULL DEFAULT now(),
	dormant_at timestamptz,
	waking_at  timestamptz,
	awake_at   timestamptz,
	n_rows     bigint NOT NULL DEFAULT 0,
	problem    text,
	problem_at timestamptz,
	CHECK ((phase = 'awake') = (awake_at IS NOT NULL)),
	CHECK (phase <> 'dormant' OR dormant_at IS NOT NULL),
	CHECK (phase <> 'waking' OR waking_at IS NOT NULL)
);
CREATE UNIQUE INDEX dormancy_open ON expunge.dormancy (tenant) WHERE phase <> 'awake';
COMMENT ON TABLE expunge.dormancy IS 'a closing account whose rows leave the live database, have left it, or come back';
COMMENT ON COLUMN expunge.dormancy.phase IS 'sealed: its rows leave, transaction by transaction; dormant: none is left; waking: it is active again, and its rows are to be loaded; awake: they are';
COMMENT ON COLUMN expunge.dormancy.n_rows IS 'that have left so far';
COMMENT ON COLUMN expunge.dormancy.problem IS 'why the last attempt to seal or to load it failed: table names and counts, never values';

CREATE TABLE expunge.dormancy_archive (
	archive_id text PRIMARY KEY CHECK (archive_id ~ '^[0-9a-f]{64}$'),
	closure_id uuid NOT NULL REFERENCES expunge.dormancy ON DELETE CASCADE,
	sealed_at  timestamptz NOT NULL DEFAULT now(),
	given_up   boolean NOT NULL DEFAULT false
);
CREATE INDEX dormancy_archive_closure ON expunge.dormancy_archive (closure_id);
COMMENT ON TABLE expunge.dormancy_archive IS 'the archives of a dormant account: whatever had changed between sealing and removal was sealed again, into another one';
COMMENT ON COLUMN expunge.dormancy_archive.given_up IS 'nothing that is not in the live database is in it: it expires when a later backup is there';

CREATE TABLE expunge.dormancy_chunk (
	id         uuid PRIMARY KEY,
	closure_id uuid NOT NULL REFERENCES expunge.dormancy ON DELETE CASCADE,
	archive_id text NOT NULL REFERENCES expunge.dormancy_archive ON DELETE CASCADE,
	removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	n_subjects bigint NOT NULL,
	n_rows     bigint NOT NULL,
	controlled boolean NOT NULL,
	is_last    boolean NOT NULL
);
CREATE INDEX dormancy_chunk_closure ON expunge.dormancy_chunk (closure_id);
COMMENT ON TABLE expunge.dormancy_chunk IS 'one transaction that took rows out of the live database, each compared with the archive before';
COMMENT ON COLUMN expunge.dormancy_chunk.is_last IS 'the tenant''s own row went with it';
COMMENT ON COLUMN expunge.dormancy_chunk.controlled IS 'rows of other tenants were compared before and after it';

CREATE TABLE expunge.dormancy_taken (
	chunk_id  uuid NOT NULL REFERENCES expunge.dormancy_chunk ON DELETE CASCADE,
	number    integer NOT NULL CHECK (number >= 0),
	table_id  smallint REFERENCES expunge.mapped_table,
	class     text NOT NULL DEFAULT '',
	n_rows    bigint NOT NULL,
	n_created bigint NOT NULL DEFAULT 0,
	firsts    bigint[] NOT NULL,
	lasts     bigint[] NOT NULL,
	PRIMARY KEY (chunk_id, number),
	CHECK (cardinality(firsts) = cardinality(lasts))
);
COMMENT ON TABLE expunge.dormancy_taken IS 'which rows of the archive are those that a transaction took: these come back, and no others';
COMMENT ON COLUMN expunge.dormancy_taken.number IS 'of the table in the archive; table_id: of the same in the data map, NULL for pieces of large objects';
COMMENT ON COLUMN expunge.dormancy_taken.firsts IS 'with lasts: from which place to which, by frame and row in it (doc/archive.md)';
COMMENT ON COLUMN expunge.dormancy_taken.n_created IS 'rows that the removal itself created and removed again (triggers)';

CREATE TABLE expunge.dormancy_subject (
	chunk_id uuid NOT NULL REFERENCES expunge.dormancy_chunk ON DELETE CASCADE,
	row_hash text NOT NULL CHECK (row_hash ~ '^[0-9a-f]{64}$'),
	birth_hash text NOT NULL CHECK (birth_hash ~ '^[0-9a-f]{64}$')
);
CREATE INDEX dormancy_subject_chunk ON expunge.dormancy_subject (chunk_id);
COMMENT ON TABLE expunge.dormancy_subject IS 'keyed hashes of the patients of a dormant account, as the erasure ledger gets them when it is purged';

ALTER TABLE expunge.dormancy         ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.dormancy_archive ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.dormancy_chunk   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.dormancy_taken   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.dormancy_subject ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY by_tenant ON expunge.dormancy
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_job ON expunge.dormancy_archive USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.dormancy d WHERE d.closure_id = dormancy_archive.closure_id));
CREATE POLICY by_job ON expunge.dormancy_chunk USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.dormancy d WHERE d.closure_id = dormancy_chunk.closure_id));
CREATE POLICY by_job ON expunge.dormancy_taken USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.dormancy_chunk h WHERE h.id = chunk_id));
CREATE POLICY by_job ON expunge.dormancy_subject USING ((SELECT expunge.session_sees_all()));

CREATE FUNCTION expunge.record_dormancy() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'INSERT' OR NEW.phase IS DISTINCT FROM OLD.phase THEN
		INSERT INTO expunge.event (kind, tenant, request_id, detail)
		VALUES ('account-' || NEW.phase, NEW.tenant, NEW.closure_id, CASE WHEN NEW.phase <> 'sealed' THEN NEW.n_rows || ' rows' END);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_dormancy() IS 'trigger: writes an event at each change of phase of a dormant account';
CREATE TRIGGER record_dormancy AFTER INSERT OR UPDATE ON expunge.dormancy
	FOR EACH ROW EXECUTE FUNCTION expunge.record_dormancy();

RESET ROLE;
