-- Hands an open reservation out, once.
--
-- KEYS   reservation
-- ARGV   now ms
-- Answer {reservation (JSON), the end it was extended to or nil}, or nil
local known = redis.call('HMGET', KEYS[1], 'state', 'redeemed', 'expires_ms', 'body', 'extended_to')
if known[1] ~= 'open' or known[2] or tonumber(known[3]) <= tonumber(ARGV[1]) then
  return false
end
redis.call('HSET', KEYS[1], 'redeemed', 1)
return { known[4], known[5] }
