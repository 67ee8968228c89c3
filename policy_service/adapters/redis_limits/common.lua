-- Windows and money. Stands above every script that needs it; the constants stand above this text and
-- belong to windows.py, whose class Window says the same in Python.
--
-- A window is a hash: one field for each second in which something was taken, and `total`, `oldest`,
-- `newest` over them, so that most calls need not read the seconds.

local function leaves_at(bucket)
  return bucket * BUCKET_MS + WINDOW_MS
end

-- Counts the seconds that are still in the window, and lists those that are not.
local function count_again(key, now)
  local window = { key = key, total = 0, gone = {} }
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local bucket = tonumber(fields[i])
    if bucket then
      if leaves_at(bucket) <= now then
        window.gone[#window.gone + 1] = fields[i]
      else
        window.total = window.total + tonumber(fields[i + 1])
        window.oldest = math.min(window.oldest or bucket, bucket)
        window.newest = math.max(window.newest or bucket, bucket)
      end
    end
  end
  return window
end

local function window_at(key, now)
  local head = redis.call('HMGET', key, 'total', 'oldest', 'newest')
  if not head[1] then
    return { key = key, total = 0, gone = {} }
  end
  local oldest = tonumber(head[2])
  if leaves_at(oldest) <= now then
    return count_again(key, now)
  end
  return { key = key, total = tonumber(head[1]), oldest = oldest, newest = tonumber(head[3]), gone = {} }
end

-- Writes the head, and drops what has left. The key itself lives as long as anything in it counts.
local function save(window)
  if not window.oldest then
    redis.call('DEL', window.key)
    return
  end
  for _, bucket in ipairs(window.gone) do
    redis.call('HDEL', window.key, bucket)
  end
  redis.call('HSET', window.key, 'total', window.total, 'oldest', window.oldest, 'newest', window.newest)
  redis.call('PEXPIRE', window.key, 2 * WINDOW_MS)
end

-- Adds to the window and names the second it went to.
local function take(window, count, now)
  local bucket = math.ceil(now / BUCKET_MS)
  if window.newest and bucket < window.newest and window.newest <= bucket + SKEW_BUCKETS then
    bucket = window.newest
  end
  if count > 0 then
    redis.call('HINCRBY', window.key, bucket, count)
    window.total = window.total + count
    if bucket == window.newest and #window.gone == 0 then
      redis.call('HINCRBY', window.key, 'total', count)
    else
      window.oldest = math.min(window.oldest or bucket, bucket)
      window.newest = math.max(window.newest or bucket, bucket)
      save(window)
    end
  end
  return bucket
end

-- Changes what was taken in that second, unless it has left the window.
local function correct(key, bucket, delta, now)
  if delta == 0 or leaves_at(bucket) <= now then
    return
  end
  local before = tonumber(redis.call('HGET', key, bucket) or 0)
  local after = math.max(0, before + delta)
  if before > 0 and after > 0 then
    redis.call('HSET', key, bucket, after)
    redis.call('HINCRBY', key, 'total', after - before)
    return
  end
  if after > 0 then
    redis.call('HSET', key, bucket, after)
  else
    redis.call('HDEL', key, bucket)
  end
  save(count_again(key, now))
end

-- Milliseconds until `wanted` more fits, if nothing else is taken; -1 is never.
local function fits_in(window, wanted, amount, now)
  if wanted > amount then
    return -1
  end
  local taken, buckets = {}, {}
  local fields = redis.call('HGETALL', window.key)
  for i = 1, #fields, 2 do
    local bucket = tonumber(fields[i])
    if bucket and leaves_at(bucket) > now then
      buckets[#buckets + 1] = bucket
      taken[bucket] = tonumber(fields[i + 1])
    end
  end
  table.sort(buckets)
  local left, at = window.total, now
  for _, bucket in ipairs(buckets) do
    if left + wanted <= amount then
      break
    end
    left = left - taken[bucket]
    at = leaves_at(bucket)
  end
  return at - now
end

-- Two numbers that say where a window stands: used, and ms until the oldest leaves.
local function say_window(answer, window, now)
  answer[#answer + 1] = string.format('%.0f', window.total)
  answer[#answer + 1] = string.format('%.0f', window.oldest and leaves_at(window.oldest) - now or 0)
end

-- Money is a hash of micro-dollars and the pico-dollars left over, see pico_usd.py.
local PICO_PER_MICRO = 1000000

local function money_at(key)
  local parts = redis.call('HMGET', key, 'micro', 'pico')
  if not parts[1] then
    return nil
  end
  return { micro = tonumber(parts[1]), pico = tonumber(parts[2]) }
end

local function sum(a, b)
  local pico = a.pico + b.pico
  local carry = math.floor(pico / PICO_PER_MICRO)
  return { micro = a.micro + b.micro + carry, pico = pico - carry * PICO_PER_MICRO }
end

local function difference(a, b)
  return sum(a, { micro = -b.micro, pico = -b.pico })
end

local function exceeds(a, b)
  return a.micro > b.micro or (a.micro == b.micro and a.pico > b.pico)
end

local function set_money(key, money)
  redis.call('HSET', key, 'micro', money.micro, 'pico', money.pico)
end

-- Two numbers that say where money stands: micro and pico.
local function say_money(answer, money)
  answer[#answer + 1] = string.format('%.0f', money.micro)
  answer[#answer + 1] = string.format('%.0f', money.pico)
end
