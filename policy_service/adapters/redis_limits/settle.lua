-- Moves a reservation to the true figure and queues its row, once.
--
-- KEYS   reservation, leases, rows
-- ARGV   decision id, now ms, row, tokens, micro, pico, ms to remember the reservation
-- Answer 'settled', 'already_settled' or 'unknown'
--
-- The counters are named by the reservation, not by KEYS, so that settling is one round trip; all keys
-- carry the same hash tag and so lie on one node of a cluster.
local now = tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'state', 'charges', 'tokens', 'micro', 'pico')
if not known[1] then
  return 'unknown'
end
if known[1] == 'settled' then
  return 'already_settled'
end

local charges = cjson.decode(known[2])
local more_tokens = tonumber(ARGV[4]) - tonumber(known[3])
for _, charge in ipairs(charges.tokens) do
  correct(charge[1], charge[2], more_tokens, now)
end
local more_usd = difference(
  { micro = tonumber(ARGV[5]), pico = tonumber(ARGV[6]) },
  { micro = tonumber(known[4]), pico = tonumber(known[5]) }
)
for _, key in ipairs(charges.usd) do
  local used = money_at(key)
  -- A counter that is gone stays gone: the next call finds it unprimed and sums the ledger.
  if used then
    set_money(key, sum(used, more_usd))
  end
end

redis.call('HSET', KEYS[1], 'state', 'settled')
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'row', ARGV[3])
return 'settled'
