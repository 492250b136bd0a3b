-- Rows of the sample application. Everything is arithmetic on the patient's number, no chance, so
-- that a test may name a row: patient 42 is always Farrowby-00042 of practice 1.
--
-- Patients 1-200 are of practice 1, 201-400 of practice 2, 401-600 of practice 3. All dates lie between
-- 2019 and the spring of 2026. In the formulas p is a patient's id:
--
--   p % 50 = 0        a duplicate, merged into p - 1; and 149 into 148, so that 150 -> 149 -> 148
--   p % 8 in (1, 2)   two neighbours who share one guarantor
--   p % 8 = 5         has a guarantor alone
--   p % 10 = 0        a message about the practice names the patient; first invoice scanned
--   p % 5 = 0         has a letter as a large object
--   p % 4 = 0         changed telephone: one row in audit.log_patient with the former number

BEGIN;
SET LOCAL ROLE app_owner;
SET LOCAL TimeZone = 'UTC';

INSERT INTO app.practice (id, name, country, created_at) VALUES
    (1, 'Wychwood Physiotherapy',  'GB-ENG', '2018-11-05 09:00+00'),
    (2, 'Strathmore Podiatry',     'GB-SCT', '2018-11-12 09:00+00'),
    (3, 'Lagan Valley Counselling', 'GB-NIR', '2018-11-19 09:00+00');

INSERT INTO app.code (code, label) VALUES
    ('INIT', 'first appointment'),
    ('FUP',  'follow-up'),
    ('EX',   'exercise plan'),
    ('REP',  'report');

INSERT INTO app.staff (id, practice_id, name, role, created_at)
SELECT (t.id - 1) * 5 + n,
       t.id,
       (ARRAY['Imogen Vail', 'Rufus Pell', 'Sunniva Brack', 'Tobias Crane', 'Maeve Lorne'])[n]
           || ' (practice ' || t.id || ')',
       (ARRAY['owner', 'clinician', 'clinician', 'clinician', 'reception'])[n],
       t.created_at
FROM app.practice AS t, generate_series(1, 5) AS n;

-- NHS numbers: nine digits and a modulus-11 check digit; a number whose check digit would be 10 is
-- never issued, so the list of candidates is filtered and counted off.
INSERT INTO app.patient
    (id, practice_id, given_name, family_name, born, nhs_number, email, phone, created_at)
SELECT p,
       (p - 1) / 200 + 1,
       given,
       family || '-' || to_char(p, 'FM00000'),
       date '1931-01-01' + (p * 7919 % 30000)::int,
       nhs.number,
       lower(given) || '.' || lower(family) || '.' || to_char(p, 'FM00000') || '@mail.example',
       '07700 900' || to_char(p, 'FM000'),
       timestamptz '2019-01-07 09:00+00' + (p * 37 % 1800) * interval '1 day'
FROM generate_series(1, 600) AS p
CROSS JOIN LATERAL (
    SELECT (ARRAY['Aldous', 'Beatrix', 'Caspian', 'Delphine', 'Evander', 'Fenella', 'Gideon',
                  'Hermione', 'Ignatius', 'Jocasta', 'Kenelm', 'Lavinia', 'Mortimer', 'Nerissa',
                  'Ottoline', 'Peregrine', 'Quentin', 'Rosalind', 'Septimus', 'Tamsin'])
               [p * 7 % 20 + 1] AS given,
           (ARRAY['Ashgrove', 'Birtwhistle', 'Cholmondley', 'Dunwoody', 'Entwistle', 'Farrowby',
                  'Gathercole', 'Hartwright', 'Inchbald', 'Jellicoe', 'Kettlewell', 'Lumbard',
                  'Micklethwait'])[(p + 2) % 13 + 1] AS family
) AS name
JOIN (
    SELECT row_number() OVER (ORDER BY n) AS p, n::text || (11 - s.sum % 11) % 11 AS number
    FROM generate_series('999000001'::bigint, '999000800') AS candidate (n)
    CROSS JOIN LATERAL (
        SELECT sum(substr(n::text, i, 1)::int * (11 - i))::int AS sum FROM generate_series(1, 9) AS i
    ) AS s
    WHERE s.sum % 11 <> 1
) AS nhs USING (p);

UPDATE app.patient SET merged_into = id - 1 WHERE id % 50 = 0 OR id = 149;

-- Three to six appointments, about four months apart.
INSERT INTO app.appointment (id, patient_id, staff_id, starts_at, booked_at, reason)
SELECT md5('appointment ' || p.id || ' ' || n)::uuid,
       p.id,
       (p.practice_id - 1) * 5 + 2 + (p.id + n) % 3,
       p.created_at + (n * 120 - 110) * interval '1 day',
       p.created_at + (n * 120 - 120) * interval '1 day',
       (ARRAY['back pain', 'knee pain', 'assessment', 'review'])[(p.id + n) % 4 + 1]
FROM app.patient AS p, generate_series(1, 6) AS n
WHERE n <= 3 + p.id % 4;

-- One note an appointment, two for every third.
INSERT INTO app.note (id, appointment_id, body, created_at)
SELECT row_number() OVER (ORDER BY p.id, a.starts_at, n),
       a.id,
       p.display_name || ' came for ' || a.reason || '. Note ' || n || ': '
           || (ARRAY['sleeps badly', 'walks without a stick', 'exercises at home'])[(p.id + n) % 3 + 1]
           || '. To be reached at ' || p.phone || '.',
       a.starts_at + n * interval '30 minutes'
FROM app.appointment AS a
JOIN app.patient AS p ON p.id = a.patient_id
CROSS JOIN generate_series(1, 2) AS n
WHERE n = 1 OR (p.id + extract(doy FROM a.starts_at)::int) % 3 = 0;

INSERT INTO app.letter (id, patient_id, scan, created_at)
SELECT row_number() OVER (ORDER BY p.id, n),
       p.id,
       convert_to('%SCAN letter ' || n || E'\n' || repeat('Dear ' || p.display_name
           || ', NHS number ' || p.nhs_number || E', thank you for your visit.\n', 8), 'UTF8'),
       p.created_at + n * interval '45 days'
FROM app.patient AS p, generate_series(1, 2) AS n
WHERE n <= p.id % 3;

INSERT INTO app.letter_file (id, patient_id, content, created_at)
SELECT row_number() OVER (ORDER BY p.id),
       p.id,
       lo_from_bytea(0, convert_to(E'%SCAN file\n' || repeat('Referral of ' || p.display_name
           || ', mail ' || p.email || E'.\n', 60), 'UTF8')),
       p.created_at + interval '50 days'
FROM app.patient AS p
WHERE p.id % 5 = 0;

-- Numbered in an order that tells nothing about the patient: invoices outlive the others' rows.
INSERT INTO app.invoice (id, patient_id, payer_name, total, issued_at, scan)
SELECT 'INV-' || to_char(row_number() OVER (ORDER BY md5(n || '/' || p.id)), 'FM000000'),
       p.id,
       p.display_name,
       95.00,
       p.created_at + (n * 120 - 103) * interval '1 day',
       CASE WHEN n = 1 AND p.id % 10 = 0 THEN
           lo_from_bytea(0, convert_to(E'%SCAN invoice\nTo ' || p.display_name, 'UTF8'))
       END
FROM app.patient AS p, generate_series(1, 3) AS n
WHERE n <= 1 + p.id % 3;

INSERT INTO app.invoice_line (invoice_id, line_no, code, amount)
SELECT i.id, l.line_no, l.code, l.amount
FROM app.invoice AS i
CROSS JOIN (VALUES (1, 'FUP', 60.00), (2, 'EX', 35.00)) AS l (line_no, code, amount);

INSERT INTO app.message (id, thread, body, ref_type, ref_id, sent_at)
SELECT row_number() OVER (ORDER BY p.id, n),
       'patient/' || p.id,
       CASE n WHEN 1 THEN 'Appointment confirmed to ' || p.email
              ELSE p.display_name || ' asked to be called on ' || p.phone END,
       'patient',
       p.id::text,
       p.created_at + n * interval '20 days'
FROM app.patient AS p, generate_series(1, 2) AS n;

-- The trap: a message of the practice's own that nothing but its text connects with a patient.
INSERT INTO app.message (id, thread, body, ref_type, ref_id, sent_at)
SELECT 1200 + row_number() OVER (ORDER BY p.id),
       'desk/' || p.practice_id,
       'Has anybody seen the X-rays of ' || p.display_name || '?',
       'practice',
       p.practice_id::text,
       p.created_at + interval '70 days'
FROM app.patient AS p
WHERE p.id % 10 = 0;

-- ref_id 1, 2 and 3 are also numbers of patients: who forgets ref_type deletes these.
INSERT INTO app.message (id, thread, body, ref_type, ref_id, sent_at)
SELECT 1260 + (t.id - 1) * 4 + n, 'desk/' || t.id, 'Rota for week ' || n || ' is out.', 'practice',
       t.id::text, timestamptz '2026-01-05 08:00+00' + n * interval '7 days'
FROM app.practice AS t, generate_series(1, 4) AS n;

INSERT INTO app.guarantor (id, practice_id, name, phone, created_at)
SELECT row_number() OVER (ORDER BY p.id),
       p.practice_id,
       'Percival Underhay-G' || to_char(row_number() OVER (ORDER BY p.id), 'FM0000'),
       '01632 960' || to_char(row_number() OVER (ORDER BY p.id), 'FM000'),
       p.created_at
FROM app.patient AS p
WHERE p.id % 8 IN (1, 5);

INSERT INTO app.patient_guarantor (patient_id, guarantor_id)
SELECT p.id, (p.id - CASE WHEN p.id % 8 = 2 THEN 2 ELSE 1 END) / 4 + 1
FROM app.patient AS p
WHERE p.id % 8 IN (1, 2, 5);

INSERT INTO app.reminder (id, patient_id, due_on, channel, created_at)
SELECT row_number() OVER (ORDER BY p.id, n),
       p.id,
       (p.created_at + n * interval '180 days')::date,
       (ARRAY['mail', 'text', 'call'])[(p.id + n) % 3 + 1],
       p.created_at + (n * 180 - 7) * interval '1 day'
FROM app.patient AS p, generate_series(1, 4) AS n
WHERE n <= 2 + p.id % 3;

-- Changes, so that the audit trail holds what the live rows no longer say. Patients first had the
-- telephone number written without its space, which a search for the present one does not find.
ALTER TABLE app.patient DISABLE TRIGGER patient_audit;
UPDATE app.patient SET phone = replace(phone, ' ', '') WHERE id % 4 = 0;
ALTER TABLE app.patient ENABLE TRIGGER patient_audit;
UPDATE app.patient SET phone = left(phone, 5) || ' ' || substr(phone, 6) WHERE id % 4 = 0;
UPDATE app.appointment SET starts_at = starts_at + interval '1 hour' WHERE patient_id % 6 = 0;
UPDATE app.note SET body = body || ' Signed.' WHERE id % 5 = 0;

-- Explicit keys above do not move the sequences.
SELECT setval(pg_get_serial_sequence('app.' || t, 'id'), m)
FROM (          SELECT 'practice', max(id) FROM app.practice
      UNION ALL SELECT 'staff', max(id) FROM app.staff
      UNION ALL SELECT 'patient', max(id) FROM app.patient
      UNION ALL SELECT 'note', max(id) FROM app.note
      UNION ALL SELECT 'letter', max(id) FROM app.letter
      UNION ALL SELECT 'letter_file', max(id) FROM app.letter_file
      UNION ALL SELECT 'message', max(id) FROM app.message
      UNION ALL SELECT 'guarantor', max(id) FROM app.guarantor
      UNION ALL SELECT 'reminder', max(id) FROM app.reminder) AS last (t, m);

COMMIT;

ANALYZE;
