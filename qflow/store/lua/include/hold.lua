-- Puts a queued run, or an open step, aside while its function is paused: its job waits in a list of the
-- function's own. `known` are the run's lane, fn, status and created, and sixth its flow: it gives up the slots of
-- its job. Needs clock, index and serve.
local function hold_job(ns, rq, fn, id)
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred')
  redis.call('RPUSH', ns .. ':held:' .. fn, id)
end
local function hold_run(ns, rq, run, id, known)
  redis.call('HSET', ns .. ':run:' .. run, 'lane', 'h' .. string.sub(known[1], 2), 'status', 'queued')
  hold_job(ns, rq, known[2], id)
  move_index(ns, known[2], run, known[3], 'queued', known[4])
  if known[6] then free_slots(ns, rq, run, known[6], false) end
end
local function hold_open(ns, rq, run_key, id, fn, hash, record)
  redis.call('HSET', run_key .. ':open', hash, 'h' .. string.sub(record, 2))
  hold_job(ns, rq, fn, id)
  let_go_of_step(ns, rq, string.sub(id, 1, 26), hash, string.sub(record, 1, 1))
end
local function is_paused(ns, fn)
  local how = redis.call('HGET', ns .. ':paused', fn)
  return how == 'skip' or how == 'hold'
end
