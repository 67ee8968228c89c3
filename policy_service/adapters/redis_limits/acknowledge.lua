-- Forgets rows that are in the ledger, and that their decisions were unwritten.
--
-- KEYS   rows, unwritten, mark
-- ARGV   group, what a reservation's key begins with, ms to remember what has ended;
--        then for each row its token and its decision id
-- Answer how many rows the store has lost: it does not have them, and knows of no acknowledgement
local unknown = 0
for i = 4, #ARGV, 2 do
  local token, id = ARGV[i], ARGV[i + 1]
  local reservation = ARGV[2] .. id
  redis.call('XACK', KEYS[1], ARGV[1], token)
  if redis.call('XDEL', KEYS[1], token) == 0 then
    -- The answer to the first acknowledgement may have been lost on its way.
    if redis.call('HGET', reservation, 'queued') ~= '0' then
      unknown = unknown + 1
    end
  else
    local state = redis.call('HGET', reservation, 'state')
    if not state then
      redis.call('SREM', KEYS[2], id)
    elseif redis.call('HINCRBY', reservation, 'queued', -1) == 0 and state == 'settled' then
      redis.call('SREM', KEYS[2], id)
      redis.call('PEXPIRE', reservation, ARGV[3])
    end
  end
end
change(KEYS[3])
return unknown
