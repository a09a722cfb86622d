-- Hand out the slots that a deploy made free by raising or dropping a limit, to those who wait for them.
-- KEYS: rings
-- ARGV: ns rq [limit]...
-- Builds: <ns>:limits, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:run:<run>, <rq>:job:<job>, <rq>:queue:<ns>, <ns>:wake
-- Returns: runs queued; 1,000 or more: there may be more to do
-- Callers: store.gate.serve
local rings_key = KEYS[1]
local ns, rq = unpack(ARGV, 1, 2)
-- include: clock
-- include: wake
-- include: place
-- include: slots
-- include: serve
for i = 3, #ARGV do
  if redis.call('ZSCORE', rings_key, ARGV[i]) then serve(ns, rq, {ARGV[i]}) end
end
return granted
