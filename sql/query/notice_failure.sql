-- Tells the operators of a run that ended badly, once a day.
-- params: 1 job, 2 run, 3 exit code
-- rows: one
SELECT expunge.notice_put('failure', NULL, 'operator',
	jsonb_build_object('job', $1::text, 'run', $2::text, 'exit_code', $3::integer, 'day', expunge.civil_date(now())),
	concat_ws(' ', 'failure', $1::text, expunge.civil_date(now())))
