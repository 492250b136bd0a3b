-- Keeps what opens a certificate's subject-ref until the practice collects it or its date has come.
-- params: 1 request, 2 tenant, 3 salt, 4 subject
-- rows: none
INSERT INTO expunge.opening (request_id, tenant, salt, subject, expires_at)
SELECT $1::uuid, $2, $3, $4, now() + make_interval(days => i.opening_days) FROM expunge.instance i
