-- Keep a finished step, if any, and put the run's next job into the queue for any worker: at the
-- end of a time slice (tail) or when draining (front, the same attempt again). Where others wait for the
-- run's slots, it waits behind them.
-- KEYS: run steps trace closed opened wip finished queue
-- ARGV: ns rq run worker expected next closed_id opened_id step result trace data description timeout ttl front
-- Builds: <ns>:lanes:<worker>, <ns>:wake, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.giveback
local run_key, steps_key, trace_key, closed_key, opened_key, wip_key, finished_key, queue_key = unpack(KEYS)
local ns, rq, run, worker, expected, next, closed_id, opened_id, step, result, trace, data,
  description, timeout, ttl, front = unpack(ARGV)
-- include: fence
-- applied before, its reply lost, and the run waits for its slots since
if redis.call('HGET', run_key, 'lane') == 'b' .. string.sub(next, 2) then return 2 end
local refused = refuse(run_key, ns, expected, next)
if refused then return refused end
-- include: clock
-- include: jobs
-- include: commit
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
local known = redis.call('HMGET', run_key, 'fn', 'status', 'created', 'flow', 'ahead', 'age')
local yields = known[4] and front ~= '1' and yield_slots(ns, rq, run, known[4], known[6])
redis.call('HSET', run_key, 'lane', (yields and 'b' or 'q') .. string.sub(next, 2), 'status', 'queued', 'queued', now_ms)
commit_step(steps_key, trace_key, step, result, trace)
if step == '' then
  redis.call('DEL', closed_key) -- the same attempt goes on under a new job
  redis.call('ZREM', wip_key, closed_id .. ':' .. worker)
else
  close_job(closed_key, closed_id, 'finished', finished_key, wip_key, worker, ttl)
end
open_job(opened_key, yields and 'deferred' or 'queued', ns, data, description, timeout, ttl)
if front == '1' then
  redis.call('LPUSH', queue_key, opened_id)
elseif not yields then
  place_job(ns, rq, opened_id, known[5])
end
redis.call('SREM', ns .. ':lanes:' .. worker, run)
move_index(ns, known[1], run, known[2], 'queued', known[3])
if yields then free_slots(ns, rq, run, known[4], false) else wake_workers(ns .. ':wake', 1) end
return 1
