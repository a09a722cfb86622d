-- Keep a finished step, if any, and end the run: completed or failed. Its keys expire by retention.
-- `failure` is a traceback as RQ packs it, or empty.
-- KEYS: run steps trace closed wip registry
-- ARGV: ns rq run worker expected next closed_id step result trace status output job_status failure ttl retention_s note
-- Builds: <ns>:lanes:<worker>, <rq>:results:<closed>, the indexes of the run's status
-- Returns: 1 done, 2 done before, or the current lane record where the lease was lost
-- Callers: store.run.finish
local run_key, steps_key, trace_key, closed_key, wip_key, registry_key = unpack(KEYS)
local ns, rq, run, worker, expected, next, closed_id, step, result, trace, status, output, job_status,
  failure, ttl, retention_s, note = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: failure
-- include: commit
-- include: index
local known = redis.call('HMGET', run_key, 'fn', 'status', 'created')
redis.call('HSET', run_key, 'lane', next, 'status', status, 'ended', now_ms,
  status == 'failed' and 'error' or 'output', output)
commit_step(steps_key, trace_key, step, result, trace)
redis.call('XADD', trace_key, '*', 'j', note)
close_job(closed_key, closed_id, job_status, registry_key, wip_key, worker, ttl)
record_failure(rq, closed_id, failure, worker, ttl)
for _, key in ipairs({run_key, steps_key, trace_key}) do redis.call('EXPIRE', key, retention_s) end
redis.call('SREM', ns .. ':lanes:' .. worker, run)
move_index(ns, known[1], run, known[2], status, known[3])
return 1
