-- The heartbeat of a replica; returns the number of live replicas, and 1 if others may be missing until their next
-- heartbeats, since entries were lost; otherwise 0.
-- KEYS: the replicas (a sorted set by the time of their heartbeats), their samples (a hash).
-- ARGV: the name of the replica, its sample (may be empty), how long it counts as live (milliseconds), the most samples.
-- All times are Redis' own: the clocks of replicas may differ.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function score(value) return string.format('(%.0f', value) end

local is_incomplete = redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
-- A time far ahead was written before the clock was set back, or by another Redis.
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', score(now - ARGV[3]))
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], score(now + ARGV[3]), '+inf')) do
  dead[#dead + 1] = name
  is_incomplete = 1
end
for _, name in ipairs(dead) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 or redis.call('HLEN', KEYS[2]) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {redis.call('ZCARD', KEYS[1]), is_incomplete}
