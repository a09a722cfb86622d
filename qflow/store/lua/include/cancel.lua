-- Cancels an unfinished run: `known` are its lane, fn, status, created and watched. Nothing of it goes
-- on after this: a worker that executes it is refused at its next commit. Needs clock, holdings, index, tell.
local function cancel_run(ns, rq, run, known, request, reason, scheduled_key, ttl, keep_s)
  local run_key = ns .. ':run:' .. run
  local token, counts, step = string.match(known[1], '^%a|(%d+)|(%d+|%d+)|[^|]*|(.*)$')
  -- in the worker's place, so that no record that a worker is about to write can look the same
  local next = 'e|' .. string.format('%d', token + 1) .. '|' .. counts .. '|cancelled|' .. step
  local why = cjson.encode(reason)
  drop_holdings(ns, rq, run, known[1], known[5], 'canceled', '', scheduled_key, ttl)
  redis.call('HSET', run_key, 'lane', next, 'status', 'cancelled', 'ended', now_ms, 'reason', reason, 'request', request)
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"end","status":"cancelled","why":' .. why .. '}')
  for _, part in ipairs({'', ':steps', ':trace'}) do redis.call('EXPIRE', run_key .. part, keep_s) end
  move_index(ns, known[2], run, known[3], 'cancelled', known[4])
  tell_end(ns, run, known[2], 'cancelled', '"reason":' .. why)
end
