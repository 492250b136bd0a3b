-- Brings the settings of support mode up to the configuration.
-- params: 1 request hours, 2 session hours, 3 consent days, 4 test subject days, 5 override, 6 office from, 7 office until, 8 tenants per day
-- rows: none
UPDATE expunge.support_policy
   SET request_hours = $1::integer, session_hours = $2::integer, consent_days = $3::integer, test_days = $4::integer,
       override = $5::boolean, office_from = $6::integer, office_until = $7::integer, tenants_per_day = $8::integer
