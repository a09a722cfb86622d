-- Cancel one run, whatever it is at: all that it holds is released at once, and what a worker still
-- executes of it is refused when it commits. A `request` that is repeated finds that it was carried out.
-- KEYS: run scheduled
-- ARGV: ns rq run request reason ttl keep_s data
-- Builds: <ns>:run:<run>…, <rq>:job:<job>, <ns>:lanes:<worker>, <rq>:queue:<ns>, <rq>:wip:<ns>, the run's places in <ns>:cancel:<rule> and <ns>:deadlines, <ns>:functions:listened, <ns>:events, what open steps and the parent's step have, the indexes of the run's status
-- Returns: {1, function} cancelled, {0, status} ended before, {-1} there is no such run
-- Callers: store.ending.cancel
local run_key, scheduled_key = unpack(KEYS)
local ns, rq, run, request, reason, ttl, keep_s, data = unpack(ARGV)
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: resume
-- include: open
-- include: settle
-- include: ending
-- include: unwatch
-- include: holdings
-- include: tell
-- include: cancel
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'watched', 'request')
if not known[1] then return {-1} end
if string.sub(known[1], 1, 1) == 'e' then
  if known[6] == request then return {1, known[2]} end
  return {0, known[3]}
end
cancel_run(ns, rq, run, known, request, reason, scheduled_key, ttl, keep_s)
end_for_others(ns, rq, run, 'cancelled', '', ttl, keep_s, data)
return {1, known[2]}
