-- Notes what has ended by itself in support mode, and answers what that was: sessions left open, requests that nobody answered.
-- params: none
-- rows: many
SELECT n.what, n.id, n.tenant, n.staff, n.until FROM expunge.support_night() n
