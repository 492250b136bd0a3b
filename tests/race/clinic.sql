-- What the race tests make patients of, and look at them with; load it into a database with the sample
-- application (tests/sample/schema.sql) as a superuser. Rows that an actor adds say 'raced'.
CREATE SCHEMA race;
SET search_path = pg_catalog;

-- whose invoice says 13 cannot be erased
ALTER TABLE app.invoice ADD CHECK (total <> 13 OR payer_name IS NOT NULL);

-- A small patient: one row in most tables, two appointments. partner: who shares the guarantor, or NULL.
CREATE FUNCTION race.make(p bigint, tenant bigint, partner bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	visit uuid;
BEGIN
	INSERT INTO app.patient (id, practice_id, given_name, family_name, born, nhs_number, email, phone, created_at)
	VALUES (p, tenant, 'Race', 'Runner-' || p, '1970-01-01', 'N' || p, 'runner.' || p || '@mail.example', '07700 ' || p, now() - interval '1 year');
	FOR n IN 1..2 LOOP
		INSERT INTO app.appointment (patient_id, staff_id, starts_at, booked_at, reason)
		VALUES (p, (tenant - 1) * 5 + 1, now() - interval '90 days', now() - interval '99 days', 'review') RETURNING id INTO visit;
	END LOOP;
	INSERT INTO app.note (appointment_id, body, created_at) VALUES (visit, 'a note', now() - interval '90 days');
	INSERT INTO app.letter (patient_id, scan, created_at) VALUES (p, 'scan', now() - interval '90 days');
	INSERT INTO app.reminder (patient_id, due_on, channel, created_at) VALUES (p, '2020-02-03', 'mail', now() - interval '90 days');
	INSERT INTO app.message (thread, body, ref_type, ref_id, sent_at) VALUES ('t', 'confirmed', 'patient', p::text, now() - interval '90 days');
	INSERT INTO app.invoice (id, patient_id, payer_name, total, issued_at) VALUES ('R' || p, p, 'Race Runner-' || p, 95, now() - interval '90 days');
	INSERT INTO app.invoice_line (invoice_id, line_no, code, amount) VALUES ('R' || p, 1, 'FUP', 95);
	IF partner IS NULL THEN
		INSERT INTO app.guarantor (id, practice_id, name, created_at) VALUES (p, tenant, 'Guarantor of ' || p, now() - interval '90 days');
	END IF;
	INSERT INTO app.patient_guarantor (patient_id, guarantor_id) VALUES (p, coalesce(partner, p));
END
$$;

-- Every row of these patients, but what actors added or change (merged_into, phone) and what a log holds.
CREATE FUNCTION race.rows_of(them bigint[]) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'patient ' || (to_jsonb(t) - '{merged_into,phone}'::text[])::text FROM app.patient t WHERE t.id = ANY (them)
	UNION ALL SELECT 'appointment ' || t::text FROM app.appointment t WHERE t.patient_id = ANY (them) AND t.reason <> 'raced'
	UNION ALL SELECT 'note ' || n::text FROM app.note n JOIN app.appointment a ON a.id = n.appointment_id WHERE a.patient_id = ANY (them)
	UNION ALL SELECT 'letter ' || t::text FROM app.letter t WHERE t.patient_id = ANY (them)
	UNION ALL SELECT 'reminder ' || t::text FROM app.reminder t WHERE t.patient_id = ANY (them)
	UNION ALL SELECT 'message ' || t::text FROM app.message t WHERE t.ref_type = 'patient' AND t.ref_id = ANY (them::text[]) AND t.body <> 'raced'
	UNION ALL SELECT 'invoice ' || t::text FROM app.invoice t WHERE t.patient_id = ANY (them)
	UNION ALL SELECT 'patient_guarantor ' || t::text FROM app.patient_guarantor t WHERE t.patient_id = ANY (them)
		AND NOT (t.patient_id % 3 = 2 AND t.guarantor_id <> t.patient_id) -- the link that an actor adds
$$;

-- "N HASH" of the rows; "0" when there is none.
CREATE FUNCTION race.print(them bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT count(*) || coalesce(' ' || md5(string_agg(r, E'\n' ORDER BY r)), '') FROM race.rows_of(them) r
$$;

-- How many rows of each table: what the tallies of a removal must say.
CREATE FUNCTION race.counts(them bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x.kind || ' ' || x.n, ', ' ORDER BY x.kind)
	  FROM (SELECT split_part(r, ' ', 1), count(*) FROM race.rows_of(them) r GROUP BY 1) x(kind, n)
$$;

CREATE FUNCTION race.tallies(request uuid) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x.kind || ' ' || x.n, ', ' ORDER BY x.kind)
	  FROM (SELECT substr(m.name, 5), t.n_removed + t.n_masked + t.n_retained
	          FROM expunge.tally t JOIN expunge.mapped_table m ON m.id = t.table_id
	         WHERE t.request_id = request AND m.name ~ '^app\.' AND m.name NOT IN ('app.guarantor', 'app.invoice_line')) x(kind, n)
$$;

-- What still tells of a patient who is gone: log rows, a guarantor whom nobody else has, a name on an invoice.
CREATE FUNCTION race.traces(p bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x.what, ', ') FROM (
		SELECT 'a row of audit.log_patient' FROM audit.log_patient l WHERE l.id = p
		UNION ALL SELECT 'a row of audit.log_appointment' FROM audit.log_appointment l WHERE l.patient_id = p
		UNION ALL SELECT 'a guarantor without a patient' FROM app.guarantor g WHERE g.name = 'Guarantor of ' || p
			AND NOT EXISTS (SELECT FROM app.patient_guarantor k WHERE k.guarantor_id = g.id)
		UNION ALL SELECT 'the invoice' FROM app.invoice i WHERE i.id = 'R' || p AND (i.patient_id IS NOT NULL OR i.payer_name IS NOT NULL)
	) x(what)
$$;

-- All rows of the application that belong to none of these patients.
CREATE FUNCTION race.others(them bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(x.r, E'\n' ORDER BY x.r)) FROM (
		SELECT race.rows_of(array_agg(p.id)) FROM app.patient p WHERE p.id <> ALL (them)
		UNION ALL SELECT t::text FROM app.practice t
		UNION ALL SELECT t::text FROM app.staff t
		UNION ALL SELECT t::text FROM app.code t
		UNION ALL SELECT t::text FROM app.message t WHERE t.ref_type <> 'patient'
		UNION ALL SELECT t::text FROM app.guarantor t WHERE EXISTS (SELECT FROM app.patient_guarantor k
			WHERE k.guarantor_id = t.id AND k.patient_id <> ALL (them))
		UNION ALL SELECT t::text FROM app.invoice_line t JOIN app.invoice i ON i.id = t.invoice_id WHERE i.id <> ALL (SELECT 'R' || unnest(them))
	) x(r)
$$;

-- Takes a round's patients away by the application's own means.
CREATE FUNCTION race.forget(them bigint[]) RETURNS void LANGUAGE sql AS $$
	UPDATE app.patient SET merged_into = NULL WHERE merged_into = ANY (them);
	DELETE FROM app.patient_guarantor WHERE patient_id = ANY (them);
	DELETE FROM app.guarantor WHERE id = ANY (them);
	DELETE FROM app.message WHERE ref_type = 'patient' AND ref_id = ANY (them::text[]);
	DELETE FROM app.invoice WHERE id IN (SELECT 'R' || unnest(them));
	DELETE FROM app.reminder WHERE patient_id = ANY (them);
	DELETE FROM app.letter WHERE patient_id = ANY (them);
	DELETE FROM app.appointment WHERE patient_id = ANY (them);
	DELETE FROM app.patient WHERE id = ANY (them);
	DELETE FROM audit.log_note WHERE appointment_id IN (SELECT l.id FROM audit.log_appointment l WHERE l.patient_id = ANY (them));
	DELETE FROM audit.log_appointment WHERE patient_id = ANY (them);
	DELETE FROM audit.log_patient WHERE id = ANY (them);
$$;

-- What must hold of the whole control schema between any two runs: a line for each thing that does not.
CREATE FUNCTION race.wrong() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'serials have a gap' FROM expunge.certificate_counter c
	 WHERE c.last <> (SELECT count(*) FROM expunge.certificate) OR c.last <> (SELECT coalesce(max(serial), 0) FROM expunge.certificate)
	UNION ALL
	SELECT r.id || ': ' || n.n || ' certificates, and it is ' || r.state
	  FROM expunge.request r, LATERAL (SELECT count(*) AS n FROM expunge.certificate c WHERE c.request_id = r.id) n
	 WHERE n.n <> (r.state = 'certified')::int
	UNION ALL
	SELECT r.id || ': running, and nobody runs' FROM expunge.request r WHERE r.state = 'running'
	UNION ALL
	SELECT DISTINCT k.request_id || ': a key set is left' FROM expunge.key_set k LEFT JOIN expunge.request r ON r.id = k.request_id
	 WHERE r.removed_at IS NULL OR r.state = 'certified'
	UNION ALL
	SELECT 'a control set is left' FROM (SELECT FROM expunge.control_set LIMIT 1) c
	UNION ALL
	SELECT r.id || ': withdrawn and removed' FROM expunge.request r WHERE r.state = 'withdrawn' AND r.removed_at IS NOT NULL
	UNION ALL
	SELECT r.id || ': removed under a plan that nobody approved' FROM expunge.request r
	 WHERE r.removed_at IS NOT NULL AND NOT EXISTS (SELECT FROM expunge.event e
		WHERE e.request_id = r.id AND e.kind = 'request-scheduled' AND e.actor = 'ruth' AND e.detail = r.decision || ' ' || r.approved_plan)
	UNION ALL
	SELECT r.id || ': certified under another plan than was approved' FROM expunge.request r
	  JOIN expunge.certificate c ON c.request_id = r.id WHERE strpos(c.note, E'\nplan: ' || r.approved_plan || E'\n') = 0
	UNION ALL
	SELECT r.id || ': removed ' || n.n || ' times' FROM expunge.request r,
		LATERAL (SELECT count(*) AS n FROM expunge.event e WHERE e.request_id = r.id AND e.kind = 'request-removed'
			AND NOT EXISTS (SELECT FROM expunge.event f WHERE f.request_id = r.id AND f.kind = 'request-failed' AND f.number < e.number)) n
	 WHERE n.n > 1
$$;
