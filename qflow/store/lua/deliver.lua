-- Give an event to the steps that wait for it by name and value, a batch at a time, and first note it for
-- waits that begin after it. Called before the entry is acknowledged; may be repeated.
-- KEYS: waiters recent conditional
-- ARGV: ns rq entry event_id event offset limit data ttl
-- Builds: all that a settled step and its run have
-- Returns: {settled, offset to go on from or -1 at the end, how many wait with a condition}
-- Callers: store.wait.deliver
local waiters_key, recent_key, conditional_key = unpack(KEYS)
local ns, rq, entry, event_id, event, offset, limit, data, ttl = unpack(ARGV)
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
-- include: event
-- include: recent
note_event(recent_key, entry)
local from = tonumber(offset)
local members = redis.call('ZRANGE', waiters_key, from, from + limit - 1)
local settled = 0
for _, member in ipairs(members) do
  if give_event(ns, rq, member, event_id, event, ttl, data) then settled = settled + 1 end
end
local conditional = redis.call('ZCARD', conditional_key)
if #members < tonumber(limit) then return {settled, -1, conditional} end
return {settled, from + #members - settled, conditional}
