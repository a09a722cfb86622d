-- Keep a finished step, if any, and end the run: completed or failed. Its keys expire by retention.
-- Steps that are open still are dropped, and the step of another run that waits for this one is settled.
-- `failure` is a traceback as RQ packs it, or empty; `how` is what system events tell of a failure.
-- KEYS: run steps trace registry scheduled
-- ARGV: ns rq run expected next step result trace status output job_status failure ttl retention_s note how data
-- Builds: <ns>:lanes:<worker>, <ns>:forks, <rq>:job:<job>, <rq>:wip:<ns>, <rq>:results:<job>, the run's places in <ns>:cancel:<rule> and <ns>:deadlines, <ns>:functions:listened, <ns>:events, what open steps and the parent's step have, the indexes of the run's status
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.finish
local run_key, steps_key, trace_key, registry_key, scheduled_key = unpack(KEYS)
local ns, rq, run, expected, next, step, result, trace, status, output, job_status, failure, ttl,
  retention_s, note, how, data = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: unwatch
-- include: holdings
-- include: failure
-- include: commit
-- include: index
-- include: wake
-- include: resume
-- include: open
-- include: settle
-- include: ending
-- include: tell
local known = redis.call('HMGET', run_key, 'fn', 'status', 'created', 'watched')
redis.call('HSET', run_key, 'lane', next, 'status', status, 'ended', now_ms,
  status == 'failed' and 'error' or 'output', output)
commit_step(steps_key, trace_key, step, result, trace)
redis.call('XADD', trace_key, '*', 'j', note)
local worker = string.match(expected, '^%a|%d+|%d+|%d+|([^|]*)|')
local id = drop_holdings(ns, rq, run, expected, known[4], job_status, registry_key, scheduled_key, ttl)
record_failure(rq, id, failure, worker, ttl)
for _, key in ipairs({run_key, steps_key, trace_key}) do redis.call('EXPIRE', key, retention_s) end
move_index(ns, known[1], run, known[2], status, known[3])
end_for_others(ns, rq, run, status, output, ttl, retention_s, data)
tell_end(ns, run, known[1], status, status == 'failed' and how or '"output":' .. output)
return 1
