-- Checks every limit, and takes from all or from none.
--
-- KEYS   reservation, leases, unwritten, mark, then one counter for each limit
-- ARGV   decision id, now ms, decided ms, expires ms, reservation (JSON), nodes, asked model,
--        requests, input tokens, output tokens, micro-dollars;
--        then one text of six words for each limit: its shape, and its amount
-- Answer {'unprimed', indexes...}
--        {'refused', index, retry ms or -1, states}, {'reserved', 0, 0, states}
--        {'conflict'}
--        states is one text, because a client reads one text faster than many numbers: for each
--        limit two words, used and ms until something is free.

local call = { id = ARGV[1], now = tonumber(ARGV[2]), at = tonumber(ARGV[3]), expires = tonumber(ARGV[4]) }
local body = ARGV[5]
local wanted = amounts(ARGV[8], ARGV[9], ARGV[10], ARGV[11])

local counters, unprimed = {}, { 'unprimed' }
for shape, cap in string.gmatch(ARGV[12], '(%S+ %S+ %S+ %S+ %S+) (%S+)') do
  local counter = counter_of(shape, KEYS[5 + #counters])
  counter.amount = amount(cap)
  counter.kind.look(counter, call.now)
  table.insert(counters, counter)
  if counter.from_ledger and not counter.is_there and not counter.is_past then
    table.insert(unprimed, #counters)
  end
end

local function states()
  local answer = {}
  for _, counter in ipairs(counters) do
    say(answer, counter, call.now)
  end
  return table.concat(answer, ' ')
end

-- The same reservation again is a client's retry after a lost answer: it holds already. The same id
-- for anything else would be a call that nobody pays for.
local known = redis.call('HMGET', KEYS[1], 'state', 'body')
if known[1] and (known[1] ~= 'open' or known[2] ~= body) then
  return { 'conflict' }
end
if #unprimed > 1 then
  return unprimed
end
if known[1] then
  return { 'reserved', 0, 0, states() }
end

-- Taking nothing exceeds nothing: a free model stays usable when the money is gone.
for i, counter in ipairs(counters) do
  local more = wanted[counter.quantity]
  counter.would_be = sum(counter.used, more)
  if not is_zero(more) and not counter.is_past and exceeds(counter.would_be, counter.amount) then
    if counter.gone and #counter.gone > 0 then
      save_window(counter) -- so that the next refusal need not count the buckets again
    end
    local never = exceeds(more, counter.amount)
    return { 'refused', i, never and -1 or counter.kind.fits_in(counter, more, call.now), states() }
  end
end

-- What settling has to move, and the places among the calls under way that it frees.
local charges, places = {}, {}
for _, counter in ipairs(counters) do
  local part = counter.kind.take(counter, wanted[counter.quantity], call)
  if counter.is_under_way then
    table.insert(places, counter.key)
  elseif counter.quantity ~= 'requests' then
    table.insert(charges, { counter.shape, counter.key, part })
  end
end
redis.call('HSET', KEYS[1], 'state', 'open', 'body', body, 'expires_ms', ARGV[4], 'at', ARGV[3],
  'nodes', ARGV[6], 'model', ARGV[7], 'input', ARGV[9], 'output', ARGV[10], 'usd', ARGV[11],
  'charges', cjson.encode(charges))
if #places > 0 then
  redis.call('HSET', KEYS[1], 'places', cjson.encode(places))
end
redis.call('ZADD', KEYS[2], call.expires, call.id)
redis.call('SADD', KEYS[3], call.id)
-- A call that is taken up again may have been in the ledger when somebody read it.
if call.at ~= call.now then
  change(KEYS[4])
end
return { 'reserved', 0, 0, states() }
