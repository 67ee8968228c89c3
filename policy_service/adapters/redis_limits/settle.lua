-- Moves a reservation to the true figure and queues its row, once.
--
-- KEYS   reservation, leases, unwritten, mark, rows, estimates
-- ARGV   decision id, now ms, row, input tokens, output tokens, micro-dollars
-- Answer 'settled', 'already_settled' or 'unknown'
--
-- The counters are named by the reservation, not by KEYS, so that settling is one round trip; all keys
-- carry the same hash tag and so lie on one node of a cluster.
local id, now = ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'state', 'charges', 'places', 'input', 'output', 'usd')
if not known[1] then
  return 'unknown'
end
if known[1] == 'settled' then
  return 'already_settled'
end

local reserved = amounts('0', known[4], known[5], known[6])
local actual = amounts('0', ARGV[4], ARGV[5], ARGV[6])
for _, charge in ipairs(cjson.decode(known[2])) do
  local counter = counter_of(charge[1], charge[2])
  local delta = difference(actual[counter.quantity], reserved[counter.quantity])
  if not is_zero(delta) then
    counter.kind.move(counter, charge[3], delta, now)
  end
end
leave_places(known[3], id)

redis.call('HSET', KEYS[1], 'state', 'settled', 'input', ARGV[4], 'output', ARGV[5], 'usd', ARGV[6])
redis.call('ZREM', KEYS[2], id)
if known[1] == 'expired' then
  redis.call('ZREM', KEYS[6], id)
end
if redis.call('SADD', KEYS[3], id) == 1 then
  change(KEYS[4])
end
queue_row(KEYS[5], KEYS[1], id, ARGV[3])
return 'settled'
