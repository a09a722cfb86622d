-- Give a signal to the step that waits for it. `id` tells a repeated call from another signal.
-- KEYS: signal signalled
-- ARGV: ns rq result data ttl
-- Builds: all that a settled step and its run have
-- Returns: 1 given, 0 where nobody waits
-- Callers: store.wait.signal
local signal_key, signalled_key = unpack(KEYS)
local ns, rq, result, data, ttl = unpack(ARGV)
if redis.call('EXISTS', signalled_key) == 1 then return 1 end
local run, hash = string.match(redis.call('GET', signal_key) or '', '^(%w+):(%w+)$')
if not run then return 0 end
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: resume
-- include: open
-- include: settle
settle(ns, rq, run, hash, result, '', ttl, data)
redis.call('SET', signalled_key, run, 'EX', 60)
return 1
