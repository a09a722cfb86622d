-- Put an open step's job back untouched: for a while where no function of it is here, at once (delay 0)
-- where the worker leaves.
-- KEYS: open closed opened wip scheduled
-- ARGV: ns rq run worker hash expected next closed_id opened_id data description ttl delay_ms
-- Builds: <ns>:lanes:<worker>, <ns>:wake:timer, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings
-- Returns: 1 done, 2 done before, 3 the run was cancelled, the current record where the lease was lost, or "" where the step was given up
-- Callers: store.open.release
local open_key, closed_key, opened_key, wip_key, scheduled_key = unpack(KEYS)
local ns, rq, run, worker, hash, expected, next, closed_id, opened_id, data, description, ttl, delay_ms = unpack(ARGV)
-- include: fence
local refused = refuse(open_key, ns, expected, next, hash)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: timer
-- include: wake
-- include: place
-- include: slots
-- include: serve
redis.call('HSET', open_key, hash, next)
redis.call('SREM', ns .. ':lanes:' .. worker, run .. ':' .. hash)
redis.call('DEL', closed_key)
redis.call('ZREM', wip_key, closed_id .. ':' .. worker)
open_job(opened_key, 'scheduled', ns, data, description, -1, ttl)
set_timer(ns, scheduled_key, opened_id, now_ms + tonumber(delay_ms))
let_go_of_step(ns, rq, run, hash, 's')
return 1
