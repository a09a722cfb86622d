-- Set an open step's next attempt on a timer after a failure. `failure` is a traceback as RQ packs it.
-- KEYS: trace open closed opened wip failed scheduled
-- ARGV: ns rq run worker hash expected next closed_id opened_id data description ttl failure delay_ms note
-- Builds: <ns>:lanes:<worker>, <ns>:wake:timer, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, <rq>:results:<closed>
-- Returns: 1 done, 2 done before, 3 the run was cancelled, the current record where the lease was lost, or "" where the step was given up
-- Callers: store.open.reopen
local trace_key, open_key, closed_key, opened_key, wip_key, failed_key, scheduled_key = unpack(KEYS)
local ns, rq, run, worker, hash, expected, next, closed_id, opened_id, data, description, ttl, failure,
  delay_ms, note = unpack(ARGV)
-- include: fence
local refused = refuse(open_key, ns, expected, next, hash)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: failure
-- include: timer
-- include: wake
-- include: place
-- include: slots
-- include: serve
local due = now_ms + tonumber(delay_ms)
redis.call('HSET', open_key, hash, next)
redis.call('SREM', ns .. ':lanes:' .. worker, run .. ':' .. hash)
redis.call('XADD', trace_key, '*', 'j', note, 'due', due)
close_job(closed_key, closed_id, 'failed', failed_key, wip_key, worker, ttl)
record_failure(rq, closed_id, failure, worker, ttl)
open_job(opened_key, 'scheduled', ns, data, description, -1, ttl)
set_timer(ns, scheduled_key, opened_id, due)
let_go_of_step(ns, rq, run, hash, 's')
return 1
