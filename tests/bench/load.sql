-- One transaction of the application: it looks a patient's notes up, moves an appointment and writes a note.
\set patient random(1, 9999) * 5 + 1
\set appointment (:patient - 1) * 10 + 1 + random(0, 9)
\set note random(2000000, 2000000000)
BEGIN;
SELECT count(*), max(body) FROM app.note WHERE patient_id = :patient;
UPDATE app.appointment SET starts_at = now() WHERE id = :appointment;
INSERT INTO app.note VALUES (:note, :patient, 'seen') ON CONFLICT DO NOTHING;
COMMIT;
