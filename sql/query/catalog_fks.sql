-- foreign keys, those that partitions inherit left out
-- params: none
-- rows: many
SELECT k.oid AS oid,
       k.conname AS name,
       k.conrelid AS referencing,
       array_to_string(k.conkey, ',') AS numbers,
       k.confrelid AS referenced,
       array_to_string(k.confkey, ',') AS referenced_numbers,
       k.confdeltype AS on_delete,
       k.condeferrable AS deferrable
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f'
  AND k.conparentid = 0
ORDER BY k.conrelid, k.conname COLLATE "C"
