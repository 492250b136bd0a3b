-- Begins a run's row.
-- params: 1 job, 2 host
-- rows: one
INSERT INTO expunge.run (job, host) VALUES ($1, $2) RETURNING id
