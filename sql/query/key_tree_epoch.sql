-- The next epoch, unless another attempt was first.
-- params: 1 epoch that ends, 2 attempt
-- rows: maybe
UPDATE expunge.key_tree t SET epoch = t.epoch + 1, attempt = $2, changed_at = clock_timestamp()
 WHERE t.epoch = $1::bigint
RETURNING t.epoch
