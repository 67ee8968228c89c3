-- What a counter should say: what the ledger had, and what it did not have. Stands above prime.lua and
-- compare.lua.
--
-- Told by JSON: shape, key, node, models (of a scope; empty for every one), starts_ms and ends_ms (of a
-- period), spent (pairs of a part and an amount).

local ANY_MODEL = {}

local function models_of(told)
  if not told.is_scoped then
    return ANY_MODEL
  end
  local models = {}
  for _, model in ipairs(told.models) do
    models[model] = true
  end
  return models
end

-- Where a decision counts; nil when it does not.
local function part_of(counter, told, at, now)
  if counter.bucket_ms > 0 then
    local bucket = bucket_of(counter, at)
    return leaves_at(counter, bucket) > now and bucket or nil
  end
  return at >= told.starts_ms and at < told.ends_ms and 0 or nil
end

-- Sums by part, and lists the unwritten decisions that may still change and do not know the counter.
local function add_up(counter, told, now, unwritten, prefix)
  local parts, strangers = {}, {}
  for _, one in ipairs(told.spent) do
    parts[one[1]] = sum(parts[one[1]] or ZERO, amount(one[2]))
  end
  local models = models_of(told)
  local node, charged = '\0' .. told.node .. '\0', cjson.encode(counter.key)
  for _, id in ipairs(redis.call('SMEMBERS', unwritten)) do
    local known = redis.call('HMGET', prefix .. id,
      'at', 'nodes', 'model', 'charges', 'state', 'input', 'output', 'usd')
    local part = known[1] and part_of(counter, told, tonumber(known[1]), now)
    if part then
      local knows = string.find(known[4], charged, 1, true)
      local binds = string.find(known[2], node, 1, true)
        and (models == ANY_MODEL or models[known[3]])
      if knows or binds then
        local taken = amounts('0', known[6], known[7], known[8])
        parts[part] = sum(parts[part] or ZERO, taken[counter.quantity])
        if not knows and known[5] ~= 'settled' then
          table.insert(strangers, { prefix .. id, known[4], part })
        end
      end
    end
  end
  return parts, strangers
end
