-- Open reservations whose lease has ended, the longest overdue first; and forgets old estimates.
--
-- KEYS   leases, estimates, unwritten, mark
-- ARGV   now ms, how many at most, what a reservation's key begins with, ms to remember an estimate
-- Answer {reservation (JSON), the end it was extended to or nil} for each
local now, most, prefix = ARGV[1], ARGV[2], ARGV[3]

local forgotten = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)) do
  if (redis.call('HGET', prefix .. id, 'queued') or '0') == '0' then
    redis.call('DEL', prefix .. id)
    redis.call('ZREM', KEYS[2], id)
    forgotten = forgotten + redis.call('SREM', KEYS[3], id)
  else -- its row is not in the ledger yet
    redis.call('ZADD', KEYS[2], tonumber(now) + tonumber(ARGV[4]), id)
  end
end
if forgotten > 0 then
  change(KEYS[4])
end

local answer = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  local known = redis.call('HMGET', prefix .. id, 'body', 'extended_to')
  if known[1] then
    table.insert(answer, { known[1], known[2] })
  else -- the reservation was evicted or deleted by hand
    redis.call('ZREM', KEYS[1], id)
    if redis.call('SREM', KEYS[3], id) == 1 then
      change(KEYS[4])
    end
  end
end
return answer
