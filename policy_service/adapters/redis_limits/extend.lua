-- Moves an open lease's end.
--
-- KEYS   reservation, leases
-- ARGV   decision id, expires ms, the same as text
if redis.call('HGET', KEYS[1], 'state') == 'open' then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[2], 'extended_to', ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
end
