-- A delayed job that is taken from the queue: put there by rq-scheduler's own scheduler, or behind its time.
-- `known` are lane, fn, status, created, queued, flow, age and gates of its run. Needs clock, index and slots.
-- Both return whether it has to wait on: for its slots, or for the scheduler to ask the gates that are left.
local function step_waits_on(ns, rq, run, id, hash, record, scheduled_key)
  redis.call('ZREM', scheduled_key, id)
  if take_slots_of_step(ns, run, hash) then return false end
  redis.call('HSET', ns .. ':run:' .. run .. ':open', hash, 'b' .. string.sub(record, 2))
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred')
  return true
end
local function waits_on(ns, rq, run, id, known, scheduled_key)
  local run_key = ns .. ':run:' .. run
  redis.call('ZREM', scheduled_key, id)
  if known[8] and known[8] ~= '[]' then
    redis.call('ZADD', scheduled_key, seconds, id)
    return true
  end
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  if not known[6] or take_slots(ns, run, known[6], known[7]) then return false end
  redis.call('HSET', run_key, 'lane', 'b' .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred')
  move_index(ns, known[2], run, known[3], 'queued', known[4])
  return true
end
