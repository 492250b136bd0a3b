-- Files of expired archives are gone from a destination.
-- params: 1 archives text[], 2 destination
-- rows: none
UPDATE expunge.archive a SET destinations = array_remove(a.destinations, $2), sending = array_remove(a.sending, $2)
 WHERE a.id = ANY ($1::text[]) AND a.state = 'expired'
