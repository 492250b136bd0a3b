-- Rows of the tenants of a change that open for nobody any more.
-- params: 1 attempt
-- rows: one
SELECT expunge.sweep_gone($1)
