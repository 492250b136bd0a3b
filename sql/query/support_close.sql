-- A member of the staff leaves; answers false if the session had ended before.
-- params: 1 session
-- rows: one
SELECT expunge_api.close_support_session($1::uuid)
