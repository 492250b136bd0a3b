-- Whom the tool writes to, and what it has to say. Addresses stand here and not with the tenant's own data: a practice is
-- told of a closure, or of a mistake, also when its rows are gone.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.contact (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant   text CHECK (tenant <> ''),
	audience text NOT NULL CHECK (audience IN ('controller', 'dpo', 'operator', 'approver')),
	address  text NOT NULL CHECK (address ~ '^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+$'),
	added_by name NOT NULL DEFAULT session_user,
	added_at timestamptz NOT NULL DEFAULT now(),
	CHECK (audience <> 'controller' OR tenant IS NOT NULL),
	CHECK (audience <> 'operator' OR tenant IS NULL)
);
CREATE UNIQUE INDEX contact_once ON expunge.contact (audience, lower(address), coalesce(tenant, ''));
CREATE INDEX contact_tenant ON expunge.contact (tenant);
COMMENT ON TABLE expunge.contact IS 'e-mail addresses of those who are told';
COMMENT ON COLUMN expunge.contact.tenant IS 'NULL: of every tenant';

CREATE TABLE expunge.outbox (
	id         uuid PRIMARY KEY,
	template   text NOT NULL CHECK (template ~ '^[a-z][a-z0-9-]{0,39}$'),
	tenant     text CHECK (tenant <> ''),
	audience   text NOT NULL CHECK (audience IN ('controller', 'dpo', 'operator', 'approver')),
	address    text,
	facts      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object'),
	once       text NOT NULL CHECK (once <> ''),
	state      text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'bounced', 'given-up')),
	attempts   integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	last_code  text CHECK (last_code ~ '^[0-9a-z][0-9a-z. -]{0,39}$'),
	message_id text,
	queued_by  name NOT NULL DEFAULT session_user,
	queued_at  timestamptz NOT NULL DEFAULT now(),
	since      timestamptz NOT NULL DEFAULT now(),
	next_at    timestamptz NOT NULL DEFAULT now(),
	settled_at timestamptz,
	CHECK ((state = 'queued') = (settled_at IS NULL)),
	CHECK (state <> 'queued' OR address IS NOT NULL)
);
CREATE INDEX outbox_queued ON expunge.outbox (next_at, id) WHERE state = 'queued';
CREATE INDEX outbox_once ON expunge.outbox (once);
CREATE INDEX event_nobody_told ON expunge.event (detail) WHERE kind = 'notice-without-contact';
CREATE INDEX outbox_settled ON expunge.outbox (settled_at) WHERE settled_at IS NOT NULL;
COMMENT ON TABLE expunge.outbox IS 'notices, one row for each address: to be sent, sent, or not deliverable';
COMMENT ON COLUMN expunge.outbox.id IS 'made of instance, tenant, once and address: the same notice has the same id also in a database that was restored, and so has its Message-ID';
COMMENT ON COLUMN expunge.outbox.address IS 'NULL: forgotten after its time';
COMMENT ON COLUMN expunge.outbox.facts IS 'what fills the template: ids, dates and counts, never values of a subject';
COMMENT ON COLUMN expunge.outbox.once IS 'what is told: one notice for each address and occasion';
COMMENT ON COLUMN expunge.outbox.last_code IS 'of the server''s last answer: its code and never its words, which quote addresses; or what came between: lost, tls, unreachable';
COMMENT ON COLUMN expunge.outbox.since IS 'from when on it is tried; later than queued_at where a person had it tried again';

ALTER TABLE expunge.contact ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.outbox  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- what is no tenant's: a function that an application calls may put a notice for the operator
CREATE POLICY by_tenant ON expunge.contact
	USING (tenant IS NULL OR (SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_tenant ON expunge.outbox
	USING (tenant IS NULL OR (SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));

-- What became of a notice is an event, whoever says so; without the address.
CREATE FUNCTION expunge.record_notice() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NEW.state IS DISTINCT FROM OLD.state THEN
		INSERT INTO expunge.event (kind, tenant, detail)
		VALUES ('notice-' || NEW.state, NEW.tenant, concat_ws(' ', NEW.template, NEW.id, NEW.last_code));
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_notice() IS 'trigger: writes an event of kind notice-STATE at each change of a notice''s state';
CREATE TRIGGER record_notice AFTER UPDATE OF state ON expunge.outbox
	FOR EACH ROW EXECUTE FUNCTION expunge.record_notice();

-- The run says once what became of a notice; a person may think otherwise, through a function.
CREATE FUNCTION expunge.guard_notice() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF OLD.state <> 'queued' AND NEW.state <> OLD.state AND current_user <> 'expunge_owner' THEN
		RAISE EXCEPTION 'notice % is % and stays so', OLD.id, OLD.state
			USING ERRCODE = 'EX430', HINT = 'expunge notify --again ID has it sent again';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION expunge.guard_notice() IS 'trigger: refuses a run that would change what became of a notice';
CREATE TRIGGER guard_notice BEFORE UPDATE OF state ON expunge.outbox
	FOR EACH ROW EXECUTE FUNCTION expunge.guard_notice();

RESET ROLE;
