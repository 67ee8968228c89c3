-- Replaces standings, each only if it is still the one that the new one was made from.
--
-- Whatever is written was observed, so a trial that is under way has its outcome.
--
-- KEYS   for each deployment two: standing, trial
-- ARGV   ms that a standing is kept; then for each deployment two: the old text (empty: none), new
-- Answer for each deployment two: 1 and an empty text, or 0 and the text that stands there

local answer = {}
for i = 1, #KEYS, 2 do
  local found = redis.call('GET', KEYS[i]) or ''
  if found == ARGV[i + 1] then
    redis.call('SET', KEYS[i], ARGV[i + 2], 'PX', ARGV[1])
    redis.call('DEL', KEYS[i + 1])
    answer[i], answer[i + 1] = 1, ''
  else
    answer[i], answer[i + 1] = 0, found
  end
end
return answer
