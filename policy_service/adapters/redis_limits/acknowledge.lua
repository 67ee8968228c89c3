-- Forgets rows that are in the ledger.
--
-- KEYS   rows
-- ARGV   group, then the rows' ids
for i = 2, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  redis.call('XDEL', KEYS[1], ARGV[i])
end
