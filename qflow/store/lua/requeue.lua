-- Put the job of a queued run or open step (`hash`) back into the queue that lost it: a stock worker died between popping and
-- starting it, or somebody deleted it by hand.
-- KEYS: queue wake
-- ARGV: ns rq run hash lane job data description ttl
-- Builds: <ns>:run:<run>, <rq>:job:<job>, <rq>:queue:<ns>:intermediate
-- Returns: 1 put back, 0 where the run moved on or the job is there after all
-- Callers: store.lost.requeue
local queue_key, wake_key = unpack(KEYS)
local ns, rq, run, hash, lane, job, data, description, ttl = unpack(ARGV)
local run_key = ns .. ':run:' .. run
local record = hash == '' and redis.call('HGET', run_key, 'lane') or redis.call('HGET', run_key .. ':open', hash)
if record ~= lane then return 0 end
if redis.call('LPOS', queue_key, job) then return 0 end
-- include: clock
-- include: jobs
-- include: wake
redis.call('LREM', queue_key .. ':intermediate', 0, job)
open_job(rq .. ':job:' .. job, 'queued', ns, data, description, -1, ttl)
redis.call('LPUSH', queue_key, job)
redis.call('HINCRBY', ns .. ':counters', 'requeued', 1)
wake_workers(wake_key, 1)
return 1
