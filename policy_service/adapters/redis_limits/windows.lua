-- Sliding windows; windows.py says the same in Python. Stands above counters.lua.
--
-- A window is a hash: one field for each bucket in which something was taken, and `total`, `oldest`,
-- `newest` over them, so that most calls need not read the buckets. A window that is made from the
-- ledger stays when it is empty: `total` tells that it has been made.

local function leaves_at(counter, bucket)
  return bucket * counter.bucket_ms + counter.window_ms
end

local function bucket_of(counter, at)
  return math.ceil(at / counter.bucket_ms)
end

-- Counts the buckets that are still in the window, and lists those that are not.
local function count_again(counter, now)
  counter.used, counter.gone, counter.oldest, counter.newest = ZERO, {}, nil, nil
  local fields = redis.call('HGETALL', counter.key)
  for i = 1, #fields, 2 do
    local bucket = tonumber(fields[i])
    if bucket then
      if leaves_at(counter, bucket) <= now then
        table.insert(counter.gone, fields[i])
      else
        counter.used = sum(counter.used, amount(fields[i + 1]))
        counter.oldest = math.min(counter.oldest or bucket, bucket)
        counter.newest = math.max(counter.newest or bucket, bucket)
      end
    end
  end
end

local function look_at_window(counter, now)
  local head = redis.call('HMGET', counter.key, 'total', 'oldest', 'newest')
  counter.is_there = head[1] and true
  counter.oldest, counter.newest = tonumber(head[2]), tonumber(head[3])
  counter.used, counter.gone = amount(head[1]), {}
  if counter.oldest and leaves_at(counter, counter.oldest) <= now then
    count_again(counter, now)
  end
end

-- Writes the head, and drops what has left. The key itself lives as long as anything in it counts.
local function save_window(counter)
  for _, bucket in ipairs(counter.gone) do
    redis.call('HDEL', counter.key, bucket)
  end
  counter.gone = {}
  if counter.oldest then
    redis.call('HSET', counter.key, 'total', text(counter.used), 'oldest', counter.oldest,
      'newest', counter.newest)
  elseif counter.from_ledger then
    redis.call('HSET', counter.key, 'total', '0')
    redis.call('HDEL', counter.key, 'oldest', 'newest')
  else
    redis.call('DEL', counter.key)
    return
  end
  redis.call('PEXPIRE', counter.key, 2 * counter.window_ms)
end

-- Adds to the window and names the bucket it went to.
local function take_from_window(counter, more, call)
  local bucket = bucket_of(counter, call.at)
  local newest = counter.newest
  if not counter.from_ledger and newest and bucket < newest and newest <= bucket + SKEW_BUCKETS then
    bucket = newest
  end
  if is_zero(more) or leaves_at(counter, bucket) <= call.now then
    return bucket
  end
  local before = amount(redis.call('HGET', counter.key, bucket))
  counter.used = counter.would_be or sum(counter.used, more)
  if bucket == newest and #counter.gone == 0 then
    redis.call('HSET', counter.key, bucket, text(sum(before, more)), 'total', text(counter.used))
  else
    redis.call('HSET', counter.key, bucket, text(sum(before, more)))
    counter.oldest = math.min(counter.oldest or bucket, bucket)
    counter.newest = math.max(newest or bucket, bucket)
    save_window(counter)
  end
  return bucket
end

-- Changes what was taken in that bucket, unless it has left the window.
local function move_in_window(counter, bucket, delta, now)
  if leaves_at(counter, bucket) <= now then
    return
  end
  local held = redis.call('HMGET', counter.key, bucket, 'total')
  if counter.from_ledger and not held[2] then
    return
  end
  local before = amount(held[1])
  local after = above_zero(sum(before, delta))
  if not is_zero(before) and not is_zero(after) then
    local total = above_zero(sum(amount(held[2]), difference(after, before)))
    redis.call('HSET', counter.key, bucket, text(after), 'total', text(total))
    return
  end
  if is_zero(after) then
    redis.call('HDEL', counter.key, bucket)
  else
    redis.call('HSET', counter.key, bucket, text(after))
  end
  count_again(counter, now)
  save_window(counter)
end

-- Milliseconds until `wanted` more fits, if nothing else is taken.
local function window_fits_in(counter, wanted, now)
  local left, at = counter.used, now
  for bucket = counter.oldest or 1, counter.newest or 0 do
    if not exceeds(sum(left, wanted), counter.amount) then
      break
    end
    local taken = redis.call('HGET', counter.key, bucket)
    if taken then
      left, at = difference(left, amount(taken)), leaves_at(counter, bucket)
    end
  end
  return at - now
end
