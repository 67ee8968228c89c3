-- Ends an overdue lease: what was reserved stands as charged, and its row is queued.
--
-- KEYS   reservation, leases, rows
-- ARGV   decision id, now ms, row, ms to remember the reservation
-- Answer 1 when this call ended it
local known = redis.call('HMGET', KEYS[1], 'state', 'expires_ms')
if known[1] ~= 'open' or tonumber(known[2]) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'expired')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'row', ARGV[3])
return 1
