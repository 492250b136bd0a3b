-- What became of the rows of a claimed account: chunk by chunk, table by table, and what the proof waits for.
-- Run by `expunge init` as a superuser, inside one transaction.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.closure_chunk (
	id         uuid PRIMARY KEY,
	closure_id uuid NOT NULL REFERENCES expunge.closure ON DELETE CASCADE,
	removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	n_subjects bigint NOT NULL,
	n_rows     bigint NOT NULL,
	has_files  boolean NOT NULL,
	controlled boolean NOT NULL,
	is_last    boolean NOT NULL
);
CREATE INDEX closure_chunk_closure ON expunge.closure_chunk (closure_id);
COMMENT ON TABLE expunge.closure_chunk IS 'one transaction of an account''s removal; its id is request_id of the key set, by which its rows are recounted';
COMMENT ON COLUMN expunge.closure_chunk.is_last IS 'the tenant''s own row went with it';
COMMENT ON COLUMN expunge.closure_chunk.has_files IS 'its rows named files outside the database that are still to be taken away';
COMMENT ON COLUMN expunge.closure_chunk.controlled IS 'rows of other tenants were compared before and after it';

CREATE TABLE expunge.closure_tally (
	closure_id uuid NOT NULL REFERENCES expunge.closure ON DELETE CASCADE,
	table_id   smallint NOT NULL REFERENCES expunge.mapped_table,
	class      text NOT NULL DEFAULT '',
	n_before   bigint NOT NULL,
	n_arrived  bigint NOT NULL,
	n_removed  bigint NOT NULL,
	n_created  bigint NOT NULL,
	PRIMARY KEY (closure_id, table_id),
	CHECK (n_before + n_arrived = n_removed)
);
COMMENT ON TABLE expunge.closure_tally IS 'per account and table, counted by the removing statements themselves';
COMMENT ON COLUMN expunge.closure_tally.n_before IS 'counted under lock before the deletion; n_arrived: of rows that came after theirs had been removed, taken later';
COMMENT ON COLUMN expunge.closure_tally.n_created IS 'rows the removal itself created and removed again (triggers)';

CREATE TABLE expunge.closure_removal (
	closure_id    uuid PRIMARY KEY REFERENCES expunge.closure ON DELETE CASCADE,
	removed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
	removed_xid   text NOT NULL,
	removed_lsn   pg_lsn NOT NULL,
	n_keys        bigint NOT NULL,
	keys          text[] NOT NULL,
	n_archives    bigint NOT NULL,
	waits_for     text[],
	recounted_at  timestamptz,
	recounted_lsn pg_lsn,
	vacuumed      boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE expunge.closure_removal IS 'the whole of an account''s rows is removed; written with the last of them';
COMMENT ON COLUMN expunge.closure_removal.n_keys IS 'how many of its keys lived then; keys: check values of some, first of those that are no patient''s';
COMMENT ON COLUMN expunge.closure_removal.waits_for IS 'virtual transaction ids and prepared transactions that were open when the last chunk had committed';

CREATE TABLE expunge.closure_recipient (
	closure_id      uuid NOT NULL REFERENCES expunge.closure ON DELETE CASCADE,
	name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	told_at         timestamptz,
	acknowledged_at timestamptz,
	acknowledged_by name,
	PRIMARY KEY (closure_id, name),
	CHECK (acknowledged_at IS NULL OR told_at IS NOT NULL)
);
COMMENT ON TABLE expunge.closure_recipient IS 'external stores of the data map that are to hear of a closed account (Article 19), and whether they have acknowledged';
COMMENT ON COLUMN expunge.closure_recipient.told_at IS 'by its program, or (a store without one) when a person noted that it is done; NULL: a person is to tell it';
COMMENT ON COLUMN expunge.closure_recipient.acknowledged_by IS 'the login of the person who noted it; NULL: the store''s program said so';

ALTER TABLE expunge.closure_chunk   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.closure_tally   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.closure_removal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.closure_recipient ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY by_closure ON expunge.closure_chunk
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));
CREATE POLICY by_closure ON expunge.closure_tally
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));
CREATE POLICY by_closure ON expunge.closure_removal
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));
CREATE POLICY by_closure ON expunge.closure_recipient
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));

-- What a store outside was told of an account and what it answered is told in the register, as of an erasure.
CREATE FUNCTION expunge.record_closure_recipient() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO expunge.event (kind, tenant, request_id, detail)
	SELECT CASE WHEN NEW.told_at IS NULL THEN 'recipient-to-tell' WHEN NEW.acknowledged_at IS NULL THEN 'recipient-told'
			ELSE 'recipient-acknowledged' END, c.tenant, NEW.closure_id, NEW.name
	FROM expunge.closure c WHERE c.id = NEW.closure_id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_closure_recipient() IS 'trigger: writes an event when an external store is told of a closed account, is to be, and when it acknowledges';
CREATE TRIGGER record_closure_recipient AFTER INSERT OR UPDATE ON expunge.closure_recipient
	FOR EACH ROW EXECUTE FUNCTION expunge.record_closure_recipient();

RESET ROLE;
