-- Let a run that waits for a time go on now: past a sleep, or to its next attempt.
-- KEYS: run trace scheduled wake
-- ARGV: ns rq run what step
-- Builds: <rq>:job:<job>, <rq>:queue:<ns>, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: {1, step} queued, {0, what it waits for, step} something else, {-1, status} it does not wait for a time
-- Callers: store.again.hasten
local run_key, trace_key, scheduled_key, wake_key = unpack(KEYS)
local ns, rq, run, what, step = unpack(ARGV)
-- include: clock
-- include: index
-- include: wake
-- include: place
-- include: slots
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'flow', 'ahead', 'age')
local token, current = string.match(known[1] or '', '^d|(%d+)|%d+|%d+|[^|]*|(.*)$')
if not token then return {-1, known[3] or ''} end
local last = redis.call('XREVRANGE', trace_key, '+', '-', 'COUNT', 1)[1]
local waits = last and string.match(last[2][2], '"t": ?"(%a+)"') or ''
if waits == 'postponed' then waits = 'retry' end
if waits ~= what or (step ~= '' and step ~= current) then return {0, waits, current} end
local id = run .. '-' .. (current == '' and 'enter' or string.sub(redis.sha1hex(current), 1, 10)) .. '-' .. token
redis.call('ZREM', scheduled_key, id)
local queued = not known[5] or take_slots(ns, run, known[5], known[7])
redis.call('HSET', run_key, 'lane', (queued and 'q' or 'b') .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
redis.call('HDEL', run_key, 'due')
redis.call('HSET', rq .. ':job:' .. id, 'status', queued and 'queued' or 'deferred', 'enqueued_at', stamp)
if queued then place_job(ns, rq, id, known[6]) end
move_index(ns, known[2], run, known[3], 'queued', known[4])
wake_workers(wake_key, 1)
return {1, current}
