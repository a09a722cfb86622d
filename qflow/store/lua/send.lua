-- Append a step's events to the stream and keep its result, in one: they are sent exactly once. The
-- step's job is closed, and the one that goes on in the handler opened, started by the same worker.
-- KEYS: run steps trace closed opened wip finished events
-- ARGV: ns worker expected next closed_id opened_id step result trace data description ttl wip_ttl [event]...
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.open.send
local run_key, steps_key, trace_key, closed_key, opened_key, wip_key, finished_key, events_key = unpack(KEYS)
local ns, worker, expected, next, closed_id, opened_id, step, result, trace, data, description, ttl,
  wip_ttl = unpack(ARGV, 1, 13)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: commit
for i = 14, #ARGV do redis.call('XADD', events_key, '*', unpack(cjson.decode(ARGV[i]))) end
redis.call('HSET', run_key, 'lane', next)
commit_step(steps_key, trace_key, step, result, trace)
close_job(closed_key, closed_id, 'finished', finished_key, wip_key, worker, ttl)
open_job(opened_key, 'started', ns, data, description, -1, ttl)
redis.call('HSET', opened_key, 'started_at', stamp, 'last_heartbeat', stamp, 'worker_name', worker)
redis.call('ZADD', wip_key, seconds + wip_ttl, opened_id .. ':' .. worker)
return 1
