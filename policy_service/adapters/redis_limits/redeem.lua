-- Hands an open reservation out, once; a late one also after its lease has ended.
--
-- KEYS   reservation
-- ARGV   now ms, 1 for late or 0
-- Answer {reservation (JSON), the end it was extended to or nil}, or nil
local known = redis.call('HMGET', KEYS[1], 'state', 'redeemed', 'expires_ms', 'body', 'extended_to')
if not known[1] or known[1] == 'settled' or known[2] then
  return false
end
local has_ended = known[1] ~= 'open' or tonumber(known[3]) <= tonumber(ARGV[1])
if has_ended and ARGV[2] ~= '1' then
  return false
end
redis.call('HSET', KEYS[1], 'redeemed', 1)
return { known[4], known[5] }
