-- Ends an overdue lease: what was reserved stands as charged, and its row is queued.
--
-- It stays among the unwritten until it is settled or forgotten, because its figure may still change.
--
-- KEYS   reservation, leases, rows, estimates
-- ARGV   decision id, now ms, row, ms to remember the estimate
-- Answer 1 when this call ended it
local known = redis.call('HMGET', KEYS[1], 'state', 'expires_ms', 'places')
if known[1] ~= 'open' or tonumber(known[2]) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'expired')
leave_places(known[3], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[4], tonumber(ARGV[2]) + tonumber(ARGV[4]), ARGV[1])
queue_row(KEYS[3], KEYS[1], ARGV[1], ARGV[3])
return 1
