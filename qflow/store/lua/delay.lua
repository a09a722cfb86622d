-- Keep a finished step, if any, close the job at hand and set the next one on a timer: a sleep, or
-- another attempt after a failure. `failure` is a traceback as RQ packs it, or empty.
-- KEYS: run steps trace closed opened wip registry scheduled
-- ARGV: ns rq run worker expected next closed_id opened_id step result trace data description timeout ttl closed_status failure attempt delay_ms due_ms note
-- Builds: <ns>:lanes:<worker>, <ns>:wake:timer, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, <rq>:results:<closed>, the indexes of the run's status
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.delay
local run_key, steps_key, trace_key, closed_key, opened_key, wip_key, registry_key, scheduled_key = unpack(KEYS)
local ns, rq, run, worker, expected, next, closed_id, opened_id, step, result, trace, data, description,
  timeout, ttl, closed_status, failure, attempt, delay_ms, due_ms, note = unpack(ARGV)
-- include: fence
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: failure
-- include: commit
-- include: index
-- include: timer
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- A job that nobody can execute comes back for as long as that is so: its trace keeps the first claim, and
-- one entry that says how often.
local function fold_postponed(key, text)
  if not string.find(text, '^{"t": "postponed"') then return text end
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 2)
  if #last < 2 or not string.find(last[1][2][2], '^{"t":"claim"') then return text end
  local before = last[2][2][2]
  if not string.find(before, '^{"t": "postponed"') then return text end
  redis.call('XDEL', key, last[1][1], last[2][1])
  return string.sub(text, 1, -2) .. ', "n": ' .. (string.match(before, '"n": (%d+)}$') or 1) + 1 .. '}'
end
local known = redis.call('HMGET', run_key, 'fn', 'status', 'created', 'flow')
local due = tonumber(due_ms)
if due == 0 then due = now_ms + tonumber(delay_ms) end
redis.call('HSET', run_key, 'lane', next, 'status', 'waiting', 'attempt', attempt, 'due', due)
commit_step(steps_key, trace_key, step, result, trace)
redis.call('XADD', trace_key, '*', 'j', fold_postponed(trace_key, note), 'due', due)
close_job(closed_key, closed_id, closed_status, registry_key, wip_key, worker, ttl)
record_failure(rq, closed_id, failure, worker, ttl)
open_job(opened_key, 'scheduled', ns, data, description, timeout, ttl)
set_timer(ns, scheduled_key, opened_id, due)
redis.call('SREM', ns .. ':lanes:' .. worker, run)
move_index(ns, known[1], run, known[2], 'waiting', known[3])
if known[4] then free_slots(ns, rq, run, known[4], false) end
return 1
