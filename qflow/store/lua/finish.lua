-- Keep a finished step, if any, and end the run: completed or failed. Its keys expire by retention.
-- Steps that are open still are dropped, and the step of another run that waits for this one is settled.
-- `failure` is a traceback as RQ packs it, or empty.
-- KEYS: run steps trace closed wip registry
-- ARGV: ns rq run worker expected next closed_id step result trace status output job_status failure ttl retention_s note data
-- Builds: <ns>:lanes:<worker>, <ns>:forks, <rq>:results:<closed>, what open steps and the parent's step have, the indexes of the run's status
-- Returns: 1 done, 2 done before, or the current lane record where the lease was lost
-- Callers: store.run.finish
local run_key, steps_key, trace_key, closed_key, wip_key, registry_key = unpack(KEYS)
local ns, rq, run, worker, expected, next, closed_id, step, result, trace, status, output, job_status,
  failure, ttl, retention_s, note, data = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: failure
-- include: commit
-- include: index
-- include: wake
-- include: resume
-- include: open
-- include: settle
-- include: ending
local known = redis.call('HMGET', run_key, 'fn', 'status', 'created', 'parent', 'parent_step', 'forked')
redis.call('HSET', run_key, 'lane', next, 'status', status, 'ended', now_ms,
  status == 'failed' and 'error' or 'output', output)
commit_step(steps_key, trace_key, step, result, trace)
redis.call('XADD', trace_key, '*', 'j', note)
close_job(closed_key, closed_id, job_status, registry_key, wip_key, worker, ttl)
record_failure(rq, closed_id, failure, worker, ttl)
for _, key in ipairs({run_key, steps_key, trace_key}) do redis.call('EXPIRE', key, retention_s) end
redis.call('SREM', ns .. ':lanes:' .. worker, run)
move_index(ns, known[1], run, known[2], status, known[3])
if known[6] then end_open_steps(ns, rq, run, ttl, retention_s) end
if known[4] then tell_parent(ns, rq, known[4], known[5], status, output, ttl, data) end
return 1
