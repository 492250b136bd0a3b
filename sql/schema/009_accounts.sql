-- Accounts that are closed: what each practice was promised, and how far it has come. Civil dates and the zone they are counted
-- in are the promise; the instants follow from them, and are reckoned again each night by the server's own zone tables.
-- Run by `expunge init` as a superuser, inside one transaction.

SET LOCAL ROLE expunge_owner;

ALTER TABLE expunge.instance ADD COLUMN closure_drill_hours integer NOT NULL DEFAULT 168 CHECK (closure_drill_hours BETWEEN 1 AND 87600);
COMMENT ON COLUMN expunge.instance.closure_drill_hours IS 'no account is purged unless a drill has passed within so many hours';

ALTER TABLE expunge.instance ADD COLUMN store_days integer CHECK (store_days BETWEEN 1 AND 36500);
COMMENT ON COLUMN expunge.instance.store_days IS 'how long the declared store that keeps copies longest keeps them; NULL: none is declared';

CREATE TABLE expunge.closure_rule (
	trigger     text PRIMARY KEY CHECK (trigger IN ('cancellation', 'expiry', 'termination')),
	anchor      text NOT NULL CHECK (anchor IN ('paid-until', 'told')),
	days        integer NOT NULL CHECK (days BETWEEN 1 AND 3650),
	meaning     text NOT NULL CHECK (meaning IN ('not-before', 'complete-by')),
	within_days integer NOT NULL CHECK (within_days BETWEEN 1 AND 365),
	CHECK (meaning = 'not-before' OR within_days < days)
);
COMMENT ON TABLE expunge.closure_rule IS 'how the time of a closing account is counted, for each way to close one; init copies them from the configuration';
COMMENT ON COLUMN expunge.closure_rule.anchor IS 'the day that is counted from: the last paid day, or the day on which it was told; never a day that is past when it is told';
COMMENT ON COLUMN expunge.closure_rule.meaning IS 'not-before: so many whole days are the practice''s, and within so many more it is done; complete-by: it is done on the last of them, and begun so many days before';

CREATE TABLE expunge.closure (
	id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant          text NOT NULL CHECK (length(tenant) BETWEEN 1 AND 200),
	trigger         text NOT NULL CHECK (trigger IN ('cancellation', 'expiry', 'termination')),
	source          text NOT NULL CHECK (source IN ('api', 'command', 'application')),
	reason          text CHECK (length(reason) BETWEEN 1 AND 500),
	idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 200),
	filed_by        name NOT NULL DEFAULT session_user,
	filed_at        timestamptz NOT NULL DEFAULT now(),
	paid_until      date,
	anchor          date NOT NULL,
	zone            text NOT NULL,
	days            integer NOT NULL,
	meaning         text NOT NULL,
	within_days     integer NOT NULL,
	purge_on        date NOT NULL,
	not_before      timestamptz NOT NULL,
	complete_on     date NOT NULL,
	complete_by     timestamptz NOT NULL,
	seal_on         date,
	seal_at         timestamptz,
	state           text NOT NULL DEFAULT 'cancelled' CHECK (state IN ('cancelled', 'cooling-off', 'due', 'claimed',
	                'removed', 'shredded', 'certified', 'reactivated')),
	disagreement    text,
	problem         text,
	problem_at      timestamptz,
	export_needed   boolean NOT NULL DEFAULT true,
	exported_at     timestamptz,
	export_sha256   text CHECK (export_sha256 ~ '^[0-9a-f]{64}$'),
	export_by       name,
	told_by         name,
	told_at         timestamptz,
	claimed_at      timestamptz,
	claimed_run     uuid,
	claimed_plan    text,
	removed_at      timestamptz,
	certified_at    timestamptz,
	final_at        timestamptz,
	ended_by        name,
	ended_at        timestamptz,
	UNIQUE (tenant, idempotency_key),
	CHECK (purge_on <= complete_on AND not_before < complete_by),
	CHECK ((seal_on IS NULL) = (seal_at IS NULL)),
	CHECK ((state IN ('claimed', 'removed', 'shredded', 'certified')) = (claimed_at IS NOT NULL)),
	CHECK ((claimed_at IS NULL) = (claimed_run IS NULL) AND (claimed_at IS NULL) = (claimed_plan IS NULL)),
	CHECK ((state = 'certified') = (certified_at IS NOT NULL)),
	CHECK ((state = 'reactivated') = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX closure_open ON expunge.closure (tenant) WHERE state NOT IN ('certified', 'reactivated');
CREATE INDEX closure_state ON expunge.closure (state, not_before);
CREATE INDEX closure_tenant ON expunge.closure (tenant, filed_at);
COMMENT ON TABLE expunge.closure IS 'an account on its way out; one at a time for a practice';
COMMENT ON COLUMN expunge.closure.anchor IS 'the day before the first of the cooling-off; the promise was made with it, and with the zone, days and meaning beside it';
COMMENT ON COLUMN expunge.closure.purge_on IS 'the first civil day on which it may be purged; not_before: when that begins';
COMMENT ON COLUMN expunge.closure.complete_on IS 'the last civil day on which it must be done; complete_by: when that has ended';
COMMENT ON COLUMN expunge.closure.seal_on IS 'the civil day on which its rows leave the live database, so that no declared store has them when it must be done; seal_at: when that begins; NULL: they may stay until the purge';
COMMENT ON COLUMN expunge.closure.disagreement IS 'what the application says that does not go together with this closure; while there is one, nothing is purged';
COMMENT ON COLUMN expunge.closure.problem IS 'why the last attempt at it failed or was put off: a code and table names, never values';
COMMENT ON COLUMN expunge.closure.filed_by IS 'the authenticated role; must differ from both that approve';
COMMENT ON COLUMN expunge.closure.export_by IS 'who said that no export is needed, or made it';
COMMENT ON COLUMN expunge.closure.told_by IS 'who stated that the practice was told otherwise than by e-mail; NULL: its notices must have gone out';

CREATE TABLE expunge.closure_plan (
	closure_id uuid PRIMARY KEY REFERENCES expunge.closure ON DELETE CASCADE,
	hash       text NOT NULL CHECK (hash ~ '^sha256:[0-9a-f]{64}$'),
	document   text NOT NULL,
	n_rows     bigint NOT NULL,
	n_subjects bigint NOT NULL,
	blockers   text,
	made_at    timestamptz NOT NULL DEFAULT now(),
	made_by    name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE expunge.closure_plan IS 'the newest plan of a closing account; approvals name its hash';

CREATE TABLE expunge.closure_approval (
	closure_id  uuid NOT NULL REFERENCES expunge.closure ON DELETE CASCADE,
	approved_by name NOT NULL DEFAULT session_user,
	plan_hash   text NOT NULL CHECK (plan_hash ~ '^sha256:[0-9a-f]{64}$'),
	approved_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (closure_id, approved_by)
);
COMMENT ON TABLE expunge.closure_approval IS 'two people of these, of the plan that there is, let an account be purged';

-- ---------------------------------------------------------------- guards

ALTER TABLE expunge.closure          ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.closure_plan     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.closure_approval ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY by_tenant ON expunge.closure
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_closure ON expunge.closure_plan
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));
CREATE POLICY by_closure ON expunge.closure_approval
	USING ((SELECT expunge.session_sees_all()) OR EXISTS (SELECT FROM expunge.closure c WHERE c.id = closure_id));

CREATE TABLE expunge.closure_transition (
	from_state text NOT NULL,
	to_state   text NOT NULL,
	by_job     boolean NOT NULL,
	PRIMARY KEY (from_state, to_state)
);
COMMENT ON TABLE expunge.closure_transition IS 'the allowed changes of a closing account''s state';
COMMENT ON COLUMN expunge.closure_transition.by_job IS 'the run may make it by itself; the others are made through a function';

INSERT INTO expunge.closure_transition (from_state, to_state, by_job) VALUES
	('cancelled',   'cooling-off', false), -- expunge.advance_closures alone: the days are counted there
	('cooling-off', 'due',         false),
	('cancelled',   'reactivated', false),
	('cooling-off', 'reactivated', false),
	('due',         'reactivated', false),
	('due',         'claimed',     false), -- expunge.claim_closure alone; from here on nothing leads back
	('claimed',     'removed',     true),
	('removed',     'shredded',    true),
	('shredded',    'certified',   true);

CREATE FUNCTION expunge.guard_closure() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	may_job boolean;
BEGIN
	IF NEW.state IS NOT DISTINCT FROM OLD.state THEN
		RETURN NEW;
	END IF;
	SELECT t.by_job INTO may_job FROM expunge.closure_transition t WHERE t.from_state = OLD.state AND t.to_state = NEW.state;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'closure % cannot go from % to %', OLD.id, OLD.state, NEW.state
			USING ERRCODE = 'EX430', HINT = 'the allowed changes are listed in expunge.closure_transition';
	END IF;
	IF NOT may_job AND current_user <> 'expunge_owner' THEN
		RAISE EXCEPTION 'closure % goes from % to % only through a function', OLD.id, OLD.state, NEW.state
			USING ERRCODE = 'EX432', HINT = 'use expunge.claim_closure or expunge.reactivate_account';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION expunge.guard_closure() IS 'trigger: refuses a change of state that expunge.closure_transition does not list';
CREATE TRIGGER guard_closure BEFORE UPDATE OF state ON expunge.closure
	FOR EACH ROW EXECUTE FUNCTION expunge.guard_closure();

CREATE FUNCTION expunge.record_closure() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'INSERT' OR NEW.state IS DISTINCT FROM OLD.state THEN
		INSERT INTO expunge.event (kind, tenant, request_id, detail)
		VALUES ('account-' || NEW.state, NEW.tenant, NEW.id,
			CASE NEW.state
				WHEN 'cancelled' THEN NEW.trigger || ' by ' || NEW.source || ', purge on ' || NEW.purge_on || ' ' || NEW.zone
				WHEN 'claimed' THEN NEW.claimed_plan
			END);
	END IF;
	IF TG_OP = 'UPDATE' AND NEW.disagreement IS DISTINCT FROM OLD.disagreement THEN
		INSERT INTO expunge.event (kind, tenant, request_id, detail)
		VALUES ('account-disagreement', NEW.tenant, NEW.id, coalesce(NEW.disagreement, 'none any more'));
	END IF;
	IF TG_OP = 'UPDATE' AND NEW.not_before IS DISTINCT FROM OLD.not_before AND NEW.purge_on = OLD.purge_on THEN
		INSERT INTO expunge.event (kind, tenant, request_id, detail)
		VALUES ('account-instant-moved', NEW.tenant, NEW.id, OLD.not_before || ' to ' || NEW.not_before);
	END IF;
	IF TG_OP = 'UPDATE' AND NEW.seal_on IS DISTINCT FROM OLD.seal_on THEN
		INSERT INTO expunge.event (kind, tenant, request_id, detail)
		VALUES ('account-seal-day-moved', NEW.tenant, NEW.id, coalesce(OLD.seal_on::text, 'none') || ' to ' || coalesce(NEW.seal_on::text, 'none'));
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_closure() IS 'trigger: writes an event at each change of a closing account''s state, of its instants, and of what the application says';
CREATE TRIGGER record_closure AFTER INSERT OR UPDATE ON expunge.closure
	FOR EACH ROW EXECUTE FUNCTION expunge.record_closure();

RESET ROLE;
