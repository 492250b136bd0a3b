-- The end of a closed account. Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

-- The certificate has a request row of its own under the closure's id, by which it waits for stores, gets its final one and is
-- known to the journal. What names patients of this account by their keys goes: the run gives keyed hashes for them.
CREATE OR REPLACE FUNCTION expunge.certify_closure(closure uuid, serial bigint, certificate text, stage text, note text, tenant_hash text,
	as_of timestamptz, lsn pg_lsn, requests uuid[], hashes text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
	m expunge.closure_removal;
BEGIN
	SELECT o.* INTO c FROM expunge.closure o WHERE o.id = certify_closure.closure FOR UPDATE;
	SELECT r.* INTO m FROM expunge.closure_removal r WHERE r.closure_id = c.id;
	IF c.state IS DISTINCT FROM 'shredded' OR m.recounted_at IS NULL THEN
		RAISE EXCEPTION 'closure % is %, and cannot be certified', certify_closure.closure, coalesce(c.state, 'not there')
			USING ERRCODE = 'EX430', HINT = 'its rows are removed and recounted, and its keys shredded, before';
	END IF;
	IF EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = c.tenant AND h.released_at IS NULL) THEN
		RAISE EXCEPTION 'closure % is under a hold', c.id
			USING ERRCODE = 'EX503', HINT = 'expunge hold list; the certificate says that there was none';
	END IF;
	UPDATE expunge.closure_removal r SET recounted_at = as_of, recounted_lsn = lsn WHERE r.closure_id = c.id;
	INSERT INTO expunge.request (id, kind, tenant, subject_hash, ground, channel, filed_by, filed_at, received_at, approved_plan, state,
		removed_at, removed_xid, removed_lsn, vacuumed, recounted_at, recounted_lsn, certified_at, final_at)
	VALUES (c.id, 'account-closure', c.tenant, tenant_hash, '28-3-g', 'closure', c.filed_by, c.filed_at, c.filed_at, c.claimed_plan,
		'certified', m.removed_at, m.removed_xid, m.removed_lsn, m.vacuumed, as_of, lsn, now(), CASE stage WHEN 'final' THEN now() END);
	INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
	VALUES (certify_closure.serial, certificate, 'account-closure', stage, c.tenant, c.id, note);
	UPDATE expunge.closure o SET state = 'certified', certified_at = now(), final_at = CASE stage WHEN 'final' THEN now() END,
		problem = NULL, problem_at = NULL WHERE o.id = c.id;
	-- nobody withdrew them: there is nobody left whom they could be carried out for
	UPDATE expunge.request r SET state = 'withdrawn', reason = 'account closed: ' || c.id, reason_at = now()
	WHERE r.tenant = c.tenant AND r.id = ANY (requests) AND r.removed_at IS NULL
	  AND r.state IN ('received', 'identified', 'scheduled', 'blocked', 'failed');
	UPDATE expunge.request r SET subject = NULL, subject_hash = g.hash
	FROM unnest(requests, hashes) g(id, hash)
	WHERE r.id = g.id AND r.tenant = c.tenant AND r.state IN ('refused', 'withdrawn');
	DELETE FROM expunge.plan p USING expunge.request r WHERE r.id = p.request_id AND r.tenant = c.tenant AND r.state = 'withdrawn';
	DELETE FROM expunge.key_set k USING expunge.closure_chunk h WHERE h.closure_id = c.id AND k.request_id = h.id;
	DELETE FROM expunge.key_set k USING expunge.request r WHERE r.id = k.request_id AND r.tenant = c.tenant AND r.state = 'withdrawn';
	DELETE FROM expunge.opening o WHERE o.tenant = c.tenant;
	WITH gone AS (
		DELETE FROM expunge.support_subject s WHERE s.tenant = c.tenant RETURNING s.id, s.tenant, s.test
	)
	INSERT INTO expunge.support_event (at, kind, id, tenant)
	SELECT clock_timestamp(), 'test-subject-erased', g.id, g.tenant FROM gone g WHERE g.test
	ON CONFLICT DO NOTHING;
	PERFORM expunge.notice_put('done', c.tenant, 'controller', jsonb_build_object('practice', c.tenant, 'closure', c.id,
		'purged_on', expunge.civil_date_in(m.removed_at, c.zone), 'complete_by', c.complete_on, 'certificate', certificate), c.id || '/done');
	UPDATE expunge.hold h SET subject = 'account closed' WHERE h.tenant = c.tenant AND h.subject IS NOT NULL AND h.released_at IS NOT NULL;
END
$$;
COMMENT ON FUNCTION expunge.certify_closure(uuid, bigint, text, text, text, text, timestamptz, pg_lsn, uuid[], text[]) IS
	'stores the certificate of a closed account, ends its patients'' open requests and forgets their keys, inside the job''s transaction';

CREATE OR REPLACE FUNCTION expunge.forget_closed_contacts() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
BEGIN
	DELETE FROM expunge.contact c
	WHERE EXISTS (SELECT FROM expunge.closure d WHERE d.tenant = c.tenant AND d.final_at IS NOT NULL)
	  AND NOT EXISTS (SELECT FROM expunge.closure d WHERE d.tenant = c.tenant AND d.state <> 'reactivated' AND d.final_at IS NULL)
	  AND NOT EXISTS (SELECT FROM expunge.outbox o WHERE o.tenant = c.tenant AND o.state = 'queued');
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.forget_closed_contacts() IS 'whom to tell of accounts that are closed for good, as soon as they have been told: addresses go, and how many is answered';

RESET ROLE;
