-- Let a run that waits for a time go on now: past a sleep, or to its next attempt.
-- KEYS: run trace scheduled queue wake
-- ARGV: ns rq run what step
-- Builds: <rq>:job:<job>, the indexes of the run's status
-- Returns: {1, step} queued, {0, what it waits for, step} something else, {-1, status} it does not wait for a time
-- Callers: store.again.hasten
local run_key, trace_key, scheduled_key, queue_key, wake_key = unpack(KEYS)
local ns, rq, run, what, step = unpack(ARGV)
-- include: clock
-- include: index
-- include: wake
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created')
local token, current = string.match(known[1] or '', '^d|(%d+)|%d+|%d+|[^|]*|(.*)$')
if not token then return {-1, known[3] or ''} end
local last = redis.call('XREVRANGE', trace_key, '+', '-', 'COUNT', 1)[1]
local waits = last and string.match(last[2][2], '"t": ?"(%a+)"') or ''
if waits == 'postponed' then waits = 'retry' end
if waits ~= what or (step ~= '' and step ~= current) then return {0, waits, current} end
local id = run .. '-' .. (current == '' and 'enter' or string.sub(redis.sha1hex(current), 1, 10)) .. '-' .. token
redis.call('ZREM', scheduled_key, id)
redis.call('HSET', run_key, 'lane', 'q' .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
redis.call('HDEL', run_key, 'due')
redis.call('HSET', rq .. ':job:' .. id, 'status', 'queued', 'enqueued_at', stamp)
redis.call('RPUSH', queue_key, id)
move_index(ns, known[2], run, known[3], 'queued', known[4])
wake_workers(wake_key, 1)
return {1, current}
