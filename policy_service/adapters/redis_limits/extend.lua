-- Moves an open lease's end.
--
-- KEYS   reservation, leases
-- ARGV   decision id, expires ms, the same as text
local known = redis.call('HMGET', KEYS[1], 'state', 'places')
if known[1] == 'open' then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[2], 'extended_to', ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
  if known[2] then
    for _, key in ipairs(cjson.decode(known[2])) do
      redis.call('ZADD', key, ARGV[2], ARGV[1])
    end
  end
end
