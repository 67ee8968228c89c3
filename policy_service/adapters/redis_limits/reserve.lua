-- Checks every limit, and takes from all or from none.
--
-- KEYS   reservation, leases, then one counter for each limit
-- ARGV   decision id, now ms, expires ms, reservation (JSON), requests, tokens, micro, pico;
--        then one text of three words for each limit: kind, amount (or micro), 0 (or pico)
-- Answer {'unprimed', indexes...}
--        {'refused', index, retry ms or -1, states}, {'reserved', 0, 0, states}
--        {'conflict'}
--        states is one text, because a client reads one text faster than many numbers: for each
--        limit two numbers, used and ms until the oldest leaves, or micro and pico.

local id, now, expires, body = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local wanted = { requests = tonumber(ARGV[5]), tokens = tonumber(ARGV[6]) }
local usd = { micro = tonumber(ARGV[7]), pico = tonumber(ARGV[8]) }
local usd_is_zero = usd.micro == 0 and usd.pico == 0

local limits, unprimed = {}, { 'unprimed' }
for kind, amount, rest in string.gmatch(ARGV[9], '(%S+) (%S+) (%S+)') do
  local limit = { kind = kind, key = KEYS[3 + #limits] }
  limits[#limits + 1] = limit
  if kind == 'usd' then
    limit.amount = { micro = tonumber(amount), pico = tonumber(rest) }
    limit.used = money_at(limit.key)
    if not limit.used then
      unprimed[#unprimed + 1] = #limits
    end
  else
    limit.amount = tonumber(amount)
    limit.window = window_at(limit.key, now)
  end
end

local function states()
  local answer = {}
  for _, limit in ipairs(limits) do
    if limit.kind == 'usd' then
      say_money(answer, limit.used)
    else
      say_window(answer, limit.window, now)
    end
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
for i, limit in ipairs(limits) do
  if limit.kind == 'usd' then
    if not usd_is_zero and exceeds(sum(limit.used, usd), limit.amount) then
      return { 'refused', i, -1, states() }
    end
  else
    local count = wanted[limit.kind]
    if count > 0 and limit.window.total + count > limit.amount then
      return { 'refused', i, fits_in(limit.window, count, limit.amount, now), states() }
    end
  end
end

local charges = { tokens = {}, usd = {} }
for _, limit in ipairs(limits) do
  if limit.kind == 'usd' then
    limit.used = sum(limit.used, usd)
    set_money(limit.key, limit.used)
    table.insert(charges.usd, limit.key)
  else
    local bucket = take(limit.window, wanted[limit.kind], now)
    if limit.kind == 'tokens' then
      table.insert(charges.tokens, { limit.key, bucket })
    end
  end
end
redis.call('HSET', KEYS[1], 'state', 'open', 'body', body, 'expires_ms', ARGV[3],
  'tokens', ARGV[6], 'micro', ARGV[7], 'pico', ARGV[8], 'charges', cjson.encode(charges))
redis.call('ZADD', KEYS[2], expires, id)
return { 'reserved', 0, 0, states() }
