-- Open reservations whose lease has ended, the longest overdue first.
--
-- KEYS   leases
-- ARGV   now ms, how many at most, what a reservation's key begins with
-- Answer {reservation (JSON), the end it was extended to or nil} for each
local answer = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local known = redis.call('HMGET', ARGV[3] .. id, 'body', 'extended_to')
  if known[1] then
    answer[#answer + 1] = { known[1], known[2] }
  else
    redis.call('ZREM', KEYS[1], id) -- the reservation was evicted or deleted by hand
  end
end
return answer
