-- The kinds of counter a limit can have; counters.py says which limit has which. Stands below
-- amounts.lua and windows.lua, above every script that counts.
--
-- A counter is told by five words, its shape: kind, what it counts, window ms, bucket ms, and 1 if it
-- is made from the ledger. For each kind there is a row in KINDS:
--   look      reads `used`, and `is_there` if it has been made
--   fits_in   ms until so much more fits, or -1 when the kind cannot tell
--   take      adds, and names the part it went to
--   move      corrects that part by a difference
--   frees_in  ms until something used now is free

local RETRY_UNDER_WAY_MS = 1000

local KINDS = {}

KINDS.window = {
  look = look_at_window,
  fits_in = window_fits_in,
  take = take_from_window,
  move = move_in_window,
  frees_in = function(counter, now)
    return counter.oldest and leaves_at(counter, counter.oldest) - now or 0
  end,
}

-- A sum for a day or a month: a text.
local function set_period(counter, used)
  redis.call('SET', counter.key, text(used), 'KEEPTTL')
end

KINDS.period = {
  look = function(counter)
    local used = redis.call('GET', counter.key)
    counter.used, counter.is_there = amount(used), used and true
  end,
  fits_in = function()
    return -1
  end,
  take = function(counter, more)
    if not is_zero(more) then
      counter.used = counter.would_be or sum(counter.used, more)
      set_period(counter, counter.used)
    end
    return 0
  end,
  move = function(counter, _, delta)
    local used = redis.call('GET', counter.key)
    -- A counter that is gone stays gone: the next call finds it unprimed and sums the ledger.
    if used then
      set_period(counter, above_zero(sum(amount(used), delta)))
    end
  end,
  frees_in = function()
    return 0
  end,
}

-- The same, of a period that is over: a late call is added if the sum is still there.
KINDS.past = {
  look = KINDS.period.look,
  fits_in = KINDS.period.fits_in,
  take = function(counter, more)
    return counter.is_there and KINDS.period.take(counter, more) or 0
  end,
  move = KINDS.period.move,
  frees_in = KINDS.period.frees_in,
}

-- Calls under way: decision ids, sorted by the end of their lease. One whose lease has ended frees its
-- place, whether or not anybody has ended it.
KINDS.under_way = {
  look = function(counter, now)
    local living = '(' .. string.format('%.0f', now)
    counter.used = { n = redis.call('ZCOUNT', counter.key, living, '+inf'), p = 0 }
    local soonest = redis.call('ZRANGEBYSCORE', counter.key, living, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    counter.soonest = tonumber(soonest[2])
  end,
  fits_in = function(counter, _, now)
    return math.min(RETRY_UNDER_WAY_MS, (counter.soonest or now) - now)
  end,
  take = function(counter, _, call)
    redis.call('ZREMRANGEBYSCORE', counter.key, '-inf', call.now)
    redis.call('ZADD', counter.key, call.expires, call.id)
    if call.expires > call.now then
      counter.used = sum(counter.used, { n = 1, p = 0 })
      counter.soonest = math.min(counter.soonest or call.expires, call.expires)
    end
    return 0
  end,
  frees_in = function(counter, now)
    return counter.soonest and counter.soonest - now or 0
  end,
}

-- Most calls meet many limits of few shapes.
local shapes = {}

local function shape_of(words)
  local kind, quantity, window_ms, bucket_ms, from_ledger =
    string.match(words, '(%S+) (%S+) (%S+) (%S+) (%S+)')
  return { __index = {
    shape = words,
    kind = KINDS[kind],
    quantity = quantity,
    window_ms = tonumber(window_ms),
    bucket_ms = tonumber(bucket_ms),
    from_ledger = from_ledger == '1',
    is_under_way = kind == 'under_way',
    is_past = kind == 'past',
  } }
end

local function counter_of(words, key)
  local shape = shapes[words] or shape_of(words)
  shapes[words] = shape
  return setmetatable({ key = key }, shape)
end

-- Two words that say where a counter stands: used, and ms until something is free.
local function say(answer, counter, now)
  table.insert(answer, text(counter.used))
  table.insert(answer, string.format('%.0f', counter.kind.frees_in(counter, now)))
end
