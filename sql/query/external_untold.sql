-- Whether a store was not told yet of this removal.
-- params: 1 request, 2 store
-- rows: one
SELECT NOT EXISTS (SELECT FROM expunge.recipient t JOIN expunge.request r ON r.id = t.request_id
                    WHERE t.request_id = $1::uuid AND t.name = $2 AND t.removed_xid = r.removed_xid)
