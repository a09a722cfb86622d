-- Queue the job that enters a suspended handler, whose frame in some worker has something new to ask for.
-- KEYS: run
-- ARGV: ns rq run expected data ttl
-- Builds: <ns>:wake, <rq>:job:<id>, <rq>:queue:<ns>, the indexes of the run's status
-- Returns: 1 queued, 0 where the run has moved on
-- Callers: store.open.resume
local run_key = KEYS[1]
local ns, rq, run, expected, data, ttl = unpack(ARGV)
if redis.call('HGET', run_key, 'lane') ~= expected then return 0 end
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: resume
resume(ns, rq, run, data, ttl)
return 1
