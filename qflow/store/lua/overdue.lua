-- Cancel runs whose deadline has come, a batch at a time. A run is to finish within its span from its
-- first start; one that has not started when the span is over is looked at again after another.
-- KEYS: deadlines scheduled leader
-- ARGV: ns rq token limit ttl keep_s data
-- Builds: what cancel.lua builds, for the runs found
-- Returns: {-1} not the leader, else {ms of the next deadline or -1, function, run, ...} of those cancelled
-- Callers: store.ending.overdue
local deadlines_key, scheduled_key, leader_key = unpack(KEYS)
local ns, rq, token, limit, ttl, keep_s, data = unpack(ARGV)
if redis.call('HGET', leader_key, 'token') ~= token then return {-1} end
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
local reply = {-1}
local function look(member)
  local kind, span, run = string.match(member, '^(%a+)|(%d+)|(%w+)$')
  local known = redis.call('HMGET', ns .. ':run:' .. run, 'lane', 'fn', 'status', 'created', 'watched', 'started')
  local started = tonumber(known[6])
  if not known[1] or string.sub(known[1], 1, 1) == 'e' or (kind == 'start' and started) then
    return redis.call('ZREM', deadlines_key, member)
  end
  if kind == 'finish' and (not started or started + span > now_ms) then
    return redis.call('ZADD', deadlines_key, (started or now_ms) + span, member)
  end
  local reason = string.format('it did not %s within %g s', kind, span / 1000)
  cancel_run(ns, rq, run, known, '', reason, scheduled_key, ttl, keep_s)
  end_for_others(ns, rq, run, 'cancelled', '', ttl, keep_s, data)
  reply[#reply + 1] = known[2]
  reply[#reply + 1] = run
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', deadlines_key, '-inf', now_ms, 'LIMIT', 0, limit)) do look(member) end
local next = redis.call('ZRANGE', deadlines_key, 0, 0, 'WITHSCORES')
if next[2] then reply[1] = math.floor(tonumber(next[2])) end
return reply
