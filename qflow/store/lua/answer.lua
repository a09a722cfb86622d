-- Give an event to one step whose condition on it holds.
-- KEYS: open
-- ARGV: ns rq member event_id event data ttl
-- Builds: all that a settled step and its run have
-- Returns: 1 settled, 0 where it is settled already, had another event, or must not have this one
-- Callers: store.wait.answer
local open_key = KEYS[1]
local ns, rq, member, event_id, event, data, ttl = unpack(ARGV)
if redis.call('EXISTS', open_key) == 0 then return 0 end
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
return give_event(ns, rq, member, event_id, event, ttl, data) and 1 or 0
