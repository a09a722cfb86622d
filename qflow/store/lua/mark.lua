-- Note that a run takes the new path at a change of its code. Written ahead of whatever the run commits
-- on that path, by the worker that holds it.
-- KEYS: run
-- ARGV: worker patch
-- Returns: 1 noted, 0 the worker does not hold the run
-- Callers: store.run.mark
local run_key = KEYS[1]
local worker, patch = unpack(ARGV)
local owner = string.match(redis.call('HGET', run_key, 'lane') or '', '^s|%d+|%d+|%d+|([^|]*)|')
if owner ~= worker then return 0 end
redis.call('HSET', run_key, 'patch:' .. patch, 1)
return 1
