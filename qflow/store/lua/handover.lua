-- Keep a finished step, close its job, and open the job of the next step, already started by the
-- same worker. The one round trip of a step on the fast path.
-- KEYS: run steps trace closed opened wip finished
-- ARGV: ns worker expected next closed_id opened_id step result trace data description timeout ttl wip_ttl
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.handover
local run_key, steps_key, trace_key, closed_key, opened_key, wip_key, finished_key = unpack(KEYS)
local ns, worker, expected, next, closed_id, opened_id, step, result, trace, data, description,
  timeout, ttl, wip_ttl = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: commit
redis.call('HSET', run_key, 'lane', next)
commit_step(steps_key, trace_key, step, result, trace)
close_job(closed_key, closed_id, 'finished', finished_key, wip_key, worker, ttl)
redis.call('HSET', opened_key, 'created_at', stamp, 'enqueued_at', stamp, 'data', data, 'origin', ns,
  'description', description, 'status', 'started', 'timeout', timeout, 'result_ttl', ttl,
  'failure_ttl', ttl, 'started_at', stamp, 'last_heartbeat', stamp, 'worker_name', worker)
redis.call('ZADD', wip_key, seconds + wip_ttl, opened_id .. ':' .. worker)
return 1
