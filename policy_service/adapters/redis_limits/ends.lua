-- What happens when a call ends, and how one knows what the ledger may lack. Stands above the scripts
-- that need it.

-- Says that the set of unwritten decisions is no longer what somebody may have read. The first mark is
-- the time, so that one from before Redis lost its data is not met again.
local function change(mark)
  if redis.call('EXISTS', mark) == 1 then
    redis.call('INCR', mark)
  else
    local time = redis.call('TIME')
    redis.call('SET', mark, string.format('%.0f', time[1] * 1000000 + time[2]))
  end
end

-- Gives back the call's places among those under way.
local function leave_places(places, id)
  if places then
    for _, key in ipairs(cjson.decode(places)) do
      redis.call('ZREM', key, id)
    end
  end
end

local function queue_row(rows, reservation, id, row)
  redis.call('XADD', rows, '*', 'id', id, 'row', row)
  redis.call('HINCRBY', reservation, 'queued', 1)
end
