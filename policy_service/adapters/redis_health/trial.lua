-- Gives the one trial of a half-open deployment to one process.
--
-- The asking process may be behind: it is told no while the breaker is open again, and yes when it
-- is closed by now.
--
-- KEYS   standing, trial
-- ARGV   now ms, ms that a trial may take
-- Answer 1 or 0

local standing = redis.call('GET', KEYS[1])
-- A standing begins with the ms when its breaker opens up, 0 while it is closed.
local opens_until = standing and tonumber(string.match(standing, '^%d+'))
if opens_until == 0 then
  return 1
end
if opens_until and opens_until > tonumber(ARGV[1]) then
  return 0
end
return redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) and 1 or 0
