-- What became of telling an external store of a closed account.
-- params: 1 closure, 2 store, 3 answer: waits (for a person) or told or acknowledged
-- rows: none
INSERT INTO expunge.closure_recipient AS t (closure_id, name, told_at, acknowledged_at)
VALUES ($1::uuid, $2, CASE WHEN $3 <> 'waits' THEN clock_timestamp() END, CASE WHEN $3 = 'acknowledged' THEN clock_timestamp() END)
    ON CONFLICT (closure_id, name) DO UPDATE SET told_at = excluded.told_at, acknowledged_at = excluded.acknowledged_at
 WHERE t.told_at IS NULL
