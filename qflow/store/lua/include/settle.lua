-- Settles an open step: its result is kept, once, and the handler woken where it is suspended. Whoever
-- comes second finds no record. Its slots go to who comes first, which may be its own run. Needs clock, jobs,
-- index, wake, serve, resume and open.
local function settle(ns, rq, run, hash, result, note, ttl, data, job_status)
  local run_key = ns .. ':run:' .. run
  local record = redis.call('HGET', run_key .. ':open', hash)
  if not record then return false end
  local state, step = string.match(record, '^(%a)|%d+|%d+|%d+|[^|]*|(.*)$')
  local wait = close_open(ns, rq, run, hash, record, job_status or 'finished', ttl)
  if note == '' then
    note = '{"t":"step","id":' .. cjson.encode(step) .. ',"a":0,"s":' .. string.format('%.0f', wait and wait.at or now_ms)
      .. ',"e":' .. string.format('%.0f', now_ms) .. ',"ok":' .. (string.sub(result, 1, 6) == '{"ok":' and 'true' or 'false') .. '}'
  end
  redis.call('HSETNX', run_key .. ':steps', step, result)
  redis.call('RPUSH', run_key .. ':order', step)
  redis.call('HINCRBY', run_key, 'settled', 1)
  redis.call('XADD', run_key .. ':trace', '*', 'j', note)
  resume(ns, rq, run, data, ttl)
  let_go_of_step(ns, rq, run, hash, state)
  return true
end
