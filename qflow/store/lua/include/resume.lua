-- Wakes a suspended handler: the job that enters it is queued, once. Needs clock, jobs, index, wake,
-- place and slots.
local function resume(ns, rq, run, data, ttl)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'flow', 'age', 'ahead')
  local token = string.match(known[1] or '', '^w|(%d+)|')
  if not token then return false end
  token = string.format('%d', token + 1)
  local id = run .. '-enter-' .. token
  local queued = not known[5] or take_slots(ns, run, known[5], known[6])
  redis.call('HSET', run_key, 'lane', (queued and 'q|' or 'b|') .. token .. '|0|0||', 'status', 'queued', 'queued', now)
  open_job(rq .. ':job:' .. id, queued and 'queued' or 'deferred', ns, data, known[2], -1, ttl)
  if queued then place_job(ns, rq, id, known[7]) end
  move_index(ns, known[2], run, known[3], 'queued', known[4])
  wake_workers(ns .. ':wake', 1)
  return true
end
