-- What a change of the root has waited for in vain.
-- params: 1 attempt, 2 text
-- rows: none
UPDATE expunge.key_change c SET barrier = $2 WHERE c.attempt = $1 AND c.state = 'journalled'
