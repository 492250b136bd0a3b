-- What is open, late, in the way; counts only.
-- params: none
-- rows: one
SELECT s.open, s.due_soon, s.overdue, s.past_target, s.blocked, s.failed, s.undecided, s.oldest_days, s.holds,
       s.holds_past_review, s.certificates, s.certificates_unpublished, s.interim, s.finals_overdue, s.openings, s.unacknowledged, s.uncertified, s.frozen
  FROM expunge.status s
