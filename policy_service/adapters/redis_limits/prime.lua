-- Makes a counter from the ledger and what the ledger lacks, unless there is one.
--
-- KEYS   counter, unwritten, mark, counters
-- ARGV   now ms, mark, what a reservation's key begins with, what from_ledger.lua says (JSON),
--        ms to keep the counter, the most unwritten there may be
-- Answer 1, 0 when the mark has changed, -1 when too much is unwritten
local now = tonumber(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 1
end
if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return 0
end
if redis.call('SCARD', KEYS[2]) > tonumber(ARGV[6]) then
  return -1
end

local told = cjson.decode(ARGV[4])
local counter = counter_of(told.shape, KEYS[1])
local parts, strangers = add_up(counter, told, now, KEYS[2], ARGV[3])
if counter.bucket_ms > 0 then
  for bucket, taken in pairs(parts) do
    if not is_zero(taken) then
      redis.call('HSET', counter.key, bucket, text(taken))
    end
  end
  count_again(counter, now)
  save_window(counter)
else
  redis.call('SET', counter.key, text(parts[0] or ZERO))
  redis.call('PEXPIRE', counter.key, ARGV[5])
end

-- Settling moves what a reservation knows of.
for _, stranger in ipairs(strangers) do
  local charges = cjson.decode(stranger[2])
  table.insert(charges, { counter.shape, counter.key, stranger[3] })
  redis.call('HSET', stranger[1], 'charges', cjson.encode(charges))
end

-- The list of counters, for rebuilding, loses those that have vanished.
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 10)) do
  local left_ms = redis.call('PTTL', key)
  if left_ms > 0 then
    redis.call('ZADD', KEYS[4], now + left_ms, key)
  else
    redis.call('ZREM', KEYS[4], key)
  end
end
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[5]), counter.key)
return 1
