-- Pause a function: new events are skipped or held, queued jobs are put aside when they are claimed.
-- KEYS: functions paused
-- ARGV: fn how
-- Returns: 1 paused so from now on, 0 so before, -1 no such function is published
-- Callers: store.pause.pause
local functions_key, paused_key = unpack(KEYS)
local fn, how = unpack(ARGV)
if redis.call('HEXISTS', functions_key, fn) == 0 then return -1 end
if redis.call('HGET', paused_key, fn) == how then return 0 end
redis.call('HSET', paused_key, fn, how)
return 1
