-- Ends the segment of the write-ahead log that is being written, if the installation may.
-- params: none
-- rows: one
SELECT expunge.switch_wal()
