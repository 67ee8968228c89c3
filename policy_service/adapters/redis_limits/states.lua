-- Where limits stand; changes nothing.
--
-- KEYS   one counter for each limit
-- ARGV   now ms; then for each limit its kind
-- Answer states as in reserve.lua

local now, answer = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  if ARGV[i + 1] == 'usd' then
    say_money(answer, money_at(key) or { micro = 0, pico = 0 })
  else
    say_window(answer, window_at(key, now), now)
  end
end
return table.concat(answer, ' ')
