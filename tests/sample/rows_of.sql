-- What rows.sh prints of some patients' own rows, found without the data map: by what schema.sql says.
--
--   psql -v patients="{148,149,150}" -v what=gone -f rows_of.sql     what an erasure removes or changes
--   psql -v patients="{148,149,150}" -v what=new  -f rows_of.sql     what it leaves instead of the changed ones
--
-- Ask before the erasure. The first list less the second is what the database loses.
SET search_path = pg_catalog;

CREATE TEMPORARY VIEW them AS SELECT p.id FROM app.patient p WHERE p.id = ANY (:'patients');
CREATE TEMPORARY VIEW their_appointments AS SELECT a.id FROM app.appointment a JOIN them ON them.id = a.patient_id;

SELECT :'what' = 'gone' AS gone \gset
\if :gone
SELECT 'app.patient:'         || t::text FROM app.patient t         WHERE t.id IN (TABLE them);
SELECT 'app.appointment:'     || t::text FROM app.appointment t     WHERE t.patient_id IN (TABLE them);
SELECT 'app.note:'            || t::text FROM app.note t            WHERE t.appointment_id IN (TABLE their_appointments);
SELECT 'app.letter:'          || t::text FROM app.letter t          WHERE t.patient_id IN (TABLE them);
SELECT 'app.letter_file:'     || t::text FROM app.letter_file t     WHERE t.patient_id IN (TABLE them);
SELECT t.tableoid::regclass   || ':' || t::text FROM app.reminder t WHERE t.patient_id IN (TABLE them);
SELECT 'app.patient_guarantor:' || t::text FROM app.patient_guarantor t WHERE t.patient_id IN (TABLE them);
SELECT 'app.message:'         || t::text FROM app.message t
 WHERE t.ref_type = 'patient' AND t.ref_id IN (SELECT them.id::text FROM them);
-- the last patient of a guarantor takes him along
SELECT 'app.guarantor:'       || t::text FROM app.guarantor t
 WHERE EXISTS (SELECT FROM app.patient_guarantor g WHERE g.guarantor_id = t.id)
   AND NOT EXISTS (SELECT FROM app.patient_guarantor g WHERE g.guarantor_id = t.id AND g.patient_id NOT IN (TABLE them));
SELECT 'audit.log_patient:'     || t::text FROM audit.log_patient t     WHERE t.id IN (TABLE them);
SELECT 'audit.log_appointment:' || t::text FROM audit.log_appointment t WHERE t.patient_id IN (TABLE them);
SELECT 'audit.log_note:'        || t::text FROM audit.log_note t WHERE t.appointment_id IN (TABLE their_appointments);
SELECT 'large object:' || o.oid || ' ' || md5(lo_get(o.oid))
  FROM (SELECT f.content FROM app.letter_file f WHERE f.patient_id IN (TABLE them)
        UNION ALL
        SELECT i.scan FROM app.invoice i WHERE i.patient_id IN (TABLE them) AND i.scan IS NOT NULL) AS o (oid);
SELECT 'app.invoice:' || t::text FROM app.invoice t WHERE t.patient_id IN (TABLE them);
\else
-- invoices stay, without the patient, the name and the scan
SELECT 'app.invoice:' || ROW(t.id, NULL::bigint, NULL::text, t.total, t.issued_at, NULL::oid)::text
  FROM app.invoice t WHERE t.patient_id IN (TABLE them);
\endif
