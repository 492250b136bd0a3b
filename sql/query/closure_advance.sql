-- What the passing of days changes for closing accounts.
-- params: none
-- rows: many
SELECT a.closure, a.account, a.what FROM expunge.advance_closures() a
