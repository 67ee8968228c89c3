-- What the ledger may not have yet.
--
-- KEYS   unwritten, mark
-- ARGV   the most there may be
-- Answer {mark, decision ids...}, or nil when there are more
if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[1]) then
  return false
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  change(KEYS[2])
end
local answer = redis.call('SMEMBERS', KEYS[1])
table.insert(answer, 1, redis.call('GET', KEYS[2]))
return answer
