-- Gives an event to a step that waits: never to two steps of a run, and never the run's own trigger.
-- Needs settle.
local function give_event(ns, rq, member, event_id, event, ttl, data)
  local run, hash = string.match(member, '^(%w+):(%w+)$')
  local run_key = ns .. ':run:' .. run
  if redis.call('HGET', run_key, 'event_id') == event_id then return false end
  if redis.call('HEXISTS', run_key .. ':open', hash) == 0 then return false end
  if redis.call('HSETNX', run_key .. ':waits', 'e:' .. event_id, hash) == 0 then return false end
  return settle(ns, rq, run, hash, '{"ok":' .. event .. '}', '', ttl, data)
end
