-- Gives a money limit its counter, unless it has one.
--
-- KEYS   counter
-- ARGV   micro, pico, ms to keep it
if redis.call('EXISTS', KEYS[1]) == 0 then
  set_money(KEYS[1], { micro = tonumber(ARGV[1]), pico = tonumber(ARGV[2]) })
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
