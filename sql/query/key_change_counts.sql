-- How many pages and keys a change has left.
-- params: 1 attempt
-- rows: one
SELECT c.n_pages, c.n_live FROM expunge.key_change c WHERE c.attempt = $1
