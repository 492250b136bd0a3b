-- Takes the next serials; the counter's row stays locked until this transaction ends.
-- params: 1 how many
-- rows: one
UPDATE expunge.certificate_counter c SET last = c.last + $1::bigint RETURNING c.last - $1::bigint + 1
