-- Keep what an open step's job gave, and let go of the step. The handler is woken where it is suspended.
-- `failure` is a traceback as RQ packs it, or empty.
-- KEYS: run steps open
-- ARGV: ns rq run worker hash expected step result trace job_status failure ttl data
-- Builds: <ns>:lanes:<worker>, <ns>:run:<run>:order, <rq>:job:<id>, <rq>:results:<id>, the indexes of the run's status
-- Returns: 1 done, 2 done before, 3 the run was cancelled, the current record where the lease was lost, or "" where the step is open no more
-- Callers: store.open.settle
local run_key, steps_key, open_key = unpack(KEYS)
local ns, rq, run, worker, hash, expected, step, result, trace, job_status, failure, ttl, data = unpack(ARGV)
if redis.call('HEXISTS', open_key, hash) == 0 then
  local kept = redis.call('HGET', steps_key, step)
  if kept == result then return 2 end
  if kept then redis.call('HINCRBY', ns .. ':counters', 'fenced', 1) end -- by whoever took the step over
  if redis.call('HGET', run_key, 'status') == 'cancelled' then return 3 end
  return '' -- else given up by its handler, or with its run
end
-- include: fence
local refused = refuse(open_key, ns, expected, nil, hash)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: failure
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: resume
-- include: open
-- include: settle
settle(ns, rq, run, hash, result, trace, ttl, data, job_status)
local id = run .. '-' .. hash .. '-' .. string.match(expected, '^%a|(%d+)')
record_failure(rq, id, failure, worker, ttl)
return 1
