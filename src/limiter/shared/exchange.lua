-- One limit of one scope, shared by all replicas. Version 1: the name of the key has the same number, and changes
-- with the meaning of the fields or of the arguments.
--
-- KEYS[1]: a hash. `used`: what is taken of the limit, in units of which 60,000,000 are one token (a request counts as
-- one), so that a limit of N a minute gains N units a microsecond. `at`: the microseconds of TIME at which that was so.
-- `@REPLICA`: what that replica holds and has not spent, until when (microseconds of TIME), and the number of its last
-- exchange.
--
-- ARGV: replica, number of the exchange, limit, gain (units a microsecond; 0: permits, which do not come back with
-- time), tokens that the replica holds unspent, tokens to add to `used` (negative: given back), tokens that are wanted at
-- least and at most, units that are used at least (after a loss of data).
--
-- Answers: 1 (0: a later exchange of this replica came first, nothing was done), granted tokens, `used`, microseconds
-- until the least number of tokens is free if nothing was granted.
--
-- What is held is part of `used`, which never falls below it: otherwise a bucket that is full again would be granted a
-- second time while a replica still holds a piece of it.
local UNIT = 60000000
local LIFE = 5000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local own = '@' .. ARGV[1]
local number, limit, gain = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local held, delta = tonumber(ARGV[5]), tonumber(ARGV[6])
local least, most, floor = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local used, at, held_before, held_by_others, last = 0, now, 0, 0, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if name == 'used' then
    used = tonumber(value)
  elseif name == 'at' then
    at = tonumber(value)
  else
    local amount, till, exchange = string.match(value, '^(%d+) (%d+) (%d+)$')
    till = tonumber(till)
    -- One that ends too late is from before the clock was set back.
    local alive = till > now and till <= now + 2 * LIFE
    if name == own then
      last = tonumber(exchange)
      if alive then held_before = tonumber(amount) end
    elseif alive then
      held_by_others = held_by_others + tonumber(amount)
    else
      redis.call('HDEL', KEYS[1], name)
    end
  end
end
if number <= last then
  return {0, 0, string.format('%.17g', used), 0}
end

used = math.max(used - gain * math.max(now - at, 0), (held_by_others + held_before) * UNIT)
used = math.max(used + delta * UNIT, floor, (held_by_others + held) * UNIT)
if gain == 0 then
  used = (held_by_others + held) * UNIT
end
local free, granted, wait = limit * UNIT - used, 0, 0
if most > 0 then
  if free >= least * UNIT then
    granted = math.min(most, math.floor(free / UNIT))
  elseif gain > 0 then
    wait = math.ceil((least * UNIT - free) / gain)
  end
end
used = used + granted * UNIT
held = held + granted

redis.call('HSET', KEYS[1], 'used', string.format('%.17g', used), 'at', string.format('%.17g', now))
if held > 0 then
  redis.call('HSET', KEYS[1], own, string.format('%.0f %.0f %.0f', held, now + LIFE, number))
else
  redis.call('HDEL', KEYS[1], own)
end
-- Gone when nothing is used and nothing is held any more.
local rest = LIFE
if gain > 0 then rest = math.max(rest, math.min(used / gain, 2592000000000)) end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(rest / 1000) + 1000))
return {1, granted, string.format('%.17g', used), wait}
