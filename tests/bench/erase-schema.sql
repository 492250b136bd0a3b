-- The benchmark's practices: `practices` with `patients` each, 43 rows a patient (7 when `tenth` is 1), foreign keys
-- that cascade and are indexed, as somebody would make them who erases by hand.
SELECT :practices * :patients AS n, CASE :tenth WHEN 1 THEN 1 ELSE 10 END AS k \gset
CREATE SCHEMA app;
CREATE TABLE app.practice (id integer PRIMARY KEY, name text);
CREATE TABLE app.patient (id bigint PRIMARY KEY, practice_id integer NOT NULL REFERENCES app.practice, name text, created_at timestamptz DEFAULT now());
CREATE TABLE app.appointment (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient ON DELETE CASCADE, starts_at timestamptz, reason text);
CREATE TABLE app.note (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient ON DELETE CASCADE, body text);
CREATE TABLE app.invoice (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient ON DELETE CASCADE, total numeric);
CREATE TABLE app.line (id bigint PRIMARY KEY, invoice_id bigint NOT NULL REFERENCES app.invoice ON DELETE CASCADE, what text, amount numeric);
INSERT INTO app.practice SELECT g, 'practice ' || g FROM generate_series(1, :practices) g;
INSERT INTO app.patient SELECT g, (g - 1) / :patients + 1, 'Name ' || md5(g::text) FROM generate_series(1, :n) g;
INSERT INTO app.appointment SELECT g, (g - 1) / :k + 1, now(), 'reason ' || md5(g::text) FROM generate_series(1, :n * :k) g;
INSERT INTO app.note SELECT g, (g - 1) / (2 * :k) + 1, repeat(md5(g::text), 5) FROM generate_series(1, 2 * :n * :k) g;
INSERT INTO app.invoice SELECT g, (g - 1) / (1 + 3 * :k / 10) + 1, 10 FROM generate_series(1, :n * (1 + 3 * :k / 10)) g;
INSERT INTO app.line SELECT g, (g - 1) / 2 + 1, md5(g::text), 5 FROM generate_series(1, 2 * :n * (1 + 3 * :k / 10)) g;
CREATE INDEX ON app.patient (practice_id);
CREATE INDEX ON app.appointment (patient_id);
CREATE INDEX ON app.note (patient_id);
CREATE INDEX ON app.invoice (patient_id);
CREATE INDEX ON app.line (invoice_id);
ALTER SCHEMA app OWNER TO app_owner;
SELECT format('ALTER TABLE app.%I OWNER TO app_owner', relname) FROM pg_class
 WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' \gexec
