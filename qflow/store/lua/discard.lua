-- Forget a run that has ended: its record, its steps, its trace, what they left and its places in the indexes.
-- KEYS: run steps trace waits order runs
-- ARGV: ns run
-- Builds: the indexes of the run's status
-- Returns: 1 gone, 0 it has not ended, -1 there is no such run
-- Callers: store.again.discard
local run_key, steps_key, trace_key, waits_key, order_key, runs_key = unpack(KEYS)
local ns, run = unpack(ARGV)
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status')
if not known[1] then return -1 end
if string.sub(known[1], 1, 1) ~= 'e' then return 0 end
redis.call('DEL', run_key, steps_key, trace_key, waits_key, order_key)
redis.call('ZREM', runs_key, run)
redis.call('ZREM', ns .. ':runs:' .. known[3], run)
redis.call('ZREM', ns .. ':fn:' .. known[2] .. ':' .. known[3], run)
return 1
