-- A store was told of a removal, and perhaps says that it is done.
-- params: 1 request, 2 store, 3 it says that it is done
-- rows: none
INSERT INTO expunge.recipient AS t (request_id, name, removed_xid, told_at, acknowledged_at)
SELECT r.id, $2, r.removed_xid, clock_timestamp(), CASE WHEN $3::boolean THEN clock_timestamp() END
  FROM expunge.request r WHERE r.id = $1::uuid
    ON CONFLICT (request_id, name) DO UPDATE
   SET removed_xid = excluded.removed_xid, told_at = excluded.told_at, acknowledged_at = excluded.acknowledged_at,
       acknowledged_by = NULL
