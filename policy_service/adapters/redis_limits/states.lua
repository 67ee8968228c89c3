-- Where limits stand; changes nothing.
--
-- KEYS   one counter for each limit
-- ARGV   now ms; then for each limit its kind
-- Answer two numbers for each limit, as in reserve.lua

local now, answer = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  if ARGV[i + 1] == 'usd' then
    local used = money_at(key) or { micro = 0, pico = 0 }
    answer[#answer + 1] = used.micro
    answer[#answer + 1] = used.pico
  else
    local window = window_at(key, now)
    answer[#answer + 1] = window.total
    answer[#answer + 1] = window.oldest and leaves_at(window.oldest) - now or 0
  end
end
return answer
