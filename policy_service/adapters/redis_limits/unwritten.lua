-- What the ledger may not have yet.
--
-- Who asked in vain because rows kept moving may have the queue give out none for a while. Then comes
-- a while in which nobody may, so that rows get written however many ask.
--
-- KEYS   unwritten, mark, hold, rest
-- ARGV   the most there may be, ms to hold the queue or 0, ms until that may be done again
-- Answer {mark, decision ids...}, or nil when there are more
if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[1]) then
  return false
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  change(KEYS[2])
end
if ARGV[2] ~= '0' and redis.call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[3]) then
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
end
local answer = redis.call('SMEMBERS', KEYS[1])
table.insert(answer, 1, redis.call('GET', KEYS[2]))
return answer
