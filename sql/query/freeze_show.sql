-- The freeze, if there is one.
-- params: none
-- rows: maybe
SELECT f.reason, f.frozen_by, to_char(f.frozen_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS frozen_at FROM expunge.freeze f
