-- Open holds.
-- params: none
-- rows: many
SELECT h.* FROM expunge.hold_list h ORDER BY h.review_on, h.id
