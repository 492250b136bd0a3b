-- Whether files of a kind are still to be taken away, of requests whose rows are removed.
-- params: 1 kind, 2 lowest via of files
-- rows: one
SELECT EXISTS (SELECT FROM expunge.request r JOIN expunge.key_set k ON k.request_id = r.id
                WHERE r.state = 'removed' AND k.via >= $2::smallint AND k.key[1] = $1)
