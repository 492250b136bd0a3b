-- A person states that a store holds no copy any more.
-- params: 1 name, 2 reason
-- rows: one
SELECT expunge.end_store($1, $2)
