-- An account that wakes, locked: whoever else would load it waits, and finds it awake.
-- params: 1 closure
-- rows: maybe
SELECT d.phase = 'waking', d.n_rows, pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/' || d.tenant, 0))
  FROM expunge.dormancy d WHERE d.closure_id = $1::uuid FOR UPDATE OF d
