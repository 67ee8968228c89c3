-- Where limits stand; changes nothing.
--
-- KEYS   one counter for each limit
-- ARGV   now ms; then for each limit its shape
-- Answer states as in reserve.lua

local now, answer = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local counter = counter_of(ARGV[i + 1], key)
  counter.kind.look(counter, now)
  say(answer, counter, now)
end
return table.concat(answer, ' ')
