-- Ends a request: from here it no longer says whom it was about.
-- params: 1 request, 2 keyed hash of the subject
-- rows: none
UPDATE expunge.request r SET state = 'certified', certified_at = now(), subject = NULL, subject_hash = $2
 WHERE r.id = $1::uuid
