-- Write the RQ job of the step that a worker is executing, already started, and close the job that led
-- to it, if any (`closed_id`). Steps that end within milliseconds are never opened: advance.lua writes
-- their job when they end.
-- KEYS: run closed opened wip finished
-- ARGV: ns worker expected next closed_id opened_id data description timeout ttl wip_ttl
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.open_step
local run_key, closed_key, opened_key, wip_key, finished_key = unpack(KEYS)
local ns, worker, expected, next, closed_id, opened_id, data, description, timeout, ttl, wip_ttl = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
redis.call('HSET', run_key, 'lane', next)
if closed_id ~= '' then close_job(closed_key, closed_id, 'finished', finished_key, wip_key, worker, ttl) end
redis.call('HSET', opened_key, 'created_at', stamp, 'enqueued_at', stamp, 'data', data, 'origin', ns,
  'description', description, 'status', 'started', 'timeout', timeout, 'result_ttl', ttl,
  'failure_ttl', ttl, 'started_at', stamp, 'last_heartbeat', stamp, 'worker_name', worker)
redis.call('ZADD', wip_key, seconds + wip_ttl, opened_id .. ':' .. worker)
return 1
