-- The second person of an override; answers until when it stands.
-- params: 1 override
-- rows: one
SELECT expunge_api.confirm_support_override($1::uuid)
