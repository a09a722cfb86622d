-- What the end of a run means for others: its open steps are dropped, its parent's step is settled.
-- Needs clock, jobs, index, wake, resume, open and settle.
local function end_open_steps(ns, rq, run, ttl, retention_s)
  local run_key = ns .. ':run:' .. run
  local open = redis.call('HGETALL', run_key .. ':open')
  for i = 1, #open, 2 do close_open(ns, rq, run, open[i], open[i + 1], 'canceled', ttl) end
  redis.call('EXPIRE', run_key .. ':waits', retention_s)
  redis.call('EXPIRE', run_key .. ':order', retention_s)
  redis.call('ZREM', ns .. ':forks', run)
end
local function tell_parent(ns, rq, parent, hash, status, text, ttl, data)
  local result = '{"error":' .. text .. '}'
  if status == 'completed' then
    result = '{"ok":' .. text .. '}'
  elseif status == 'cancelled' then
    result = '{"error":{"name":"RunCancelled","message":"the invoked run was cancelled","traceback":""}}'
  end
  settle(ns, rq, parent, hash, result, '', ttl, data)
end
