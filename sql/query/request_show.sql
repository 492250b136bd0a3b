-- One request.
-- params: 1 request
-- rows: maybe
SELECT q.* FROM expunge.request_list q WHERE q.id = $1::uuid
