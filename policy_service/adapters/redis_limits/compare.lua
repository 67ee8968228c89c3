-- Says what a counter stands at, and what prime.lua would make of it; changes nothing.
--
-- KEYS   counter, unwritten, mark
-- ARGV   as in prime.lua, but for ms to keep the counter
-- Answer {used or nil, expected}; 0 when the mark has changed, -1 when too much is unwritten
local now = tonumber(ARGV[1])
if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return 0
end
if redis.call('SCARD', KEYS[2]) > tonumber(ARGV[5]) then
  return -1
end
local told = cjson.decode(ARGV[4])
local counter = counter_of(told.shape, KEYS[1])
local expected = ZERO
for bucket, taken in pairs((add_up(counter, told, now, KEYS[2], ARGV[3]))) do
  if counter.bucket_ms == 0 or leaves_at(counter, bucket) > now then
    expected = sum(expected, taken)
  end
end
counter.kind.look(counter, now)
return { counter.is_there and text(counter.used), text(expected) }
