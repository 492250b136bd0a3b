-- A person notes that a store has acknowledged.
-- params: 1 request, 2 store
-- rows: one
SELECT expunge.acknowledge_recipient($1::uuid, $2)
