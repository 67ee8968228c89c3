-- Drops counters that can be made from the ledger, some at a time.
--
-- The list moves aside first, so that counters which are made meanwhile do not keep this from ending.
-- A list that a process left behind half way is taken up again.
--
-- KEYS   counters, counters to drop
-- ARGV   1 to begin, how many at most
-- Answer {how many were dropped, how many are left}
if ARGV[1] == '1' then
  redis.call('ZUNIONSTORE', KEYS[2], 2, KEYS[1], KEYS[2])
  redis.call('DEL', KEYS[1])
end
local dropped = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[2]) - 1)) do
  dropped = dropped + redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], key)
end
return { dropped, redis.call('ZCARD', KEYS[2]) }
