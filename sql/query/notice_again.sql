-- Has a notice tried again.
-- params: 1 notice
-- rows: one
SELECT expunge.retry_notice($1::uuid)
