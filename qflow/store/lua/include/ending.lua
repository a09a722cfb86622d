-- What the end of a run means for others: its open steps are dropped, its parent's step is settled.
-- Needs clock, jobs, index, wake, serve, resume, open and settle.
local function end_open_steps(ns, rq, run, ttl, retention_s)
  local run_key = ns .. ':run:' .. run
  local open = redis.call('HGETALL', run_key .. ':open')
  for i = 1, #open, 2 do close_open(ns, rq, run, open[i], open[i + 1], 'canceled', ttl) end
  for i = 1, #open, 2 do let_go_of_step(ns, rq, run, open[i], string.sub(open[i + 1], 1, 1)) end
  redis.call('EXPIRE', run_key .. ':waits', retention_s)
  redis.call('EXPIRE', run_key .. ':order', retention_s)
  redis.call('ZREM', ns .. ':forks', run)
end
local function result_of(status, text) -- of an invoked run, for the step that waits for it
  if status == 'completed' then return '{"ok":' .. text .. '}' end
  if status == 'failed' then return '{"error":' .. text .. '}' end
  if status == 'cancelled' then
    return '{"error":{"name":"RunCancelled","message":"the invoked run was cancelled","traceback":""}}'
  end
  return '{"error":{"name":"RunSkipped","message":' .. cjson.encode('the invoked run was skipped: ' .. text) .. ',"traceback":""}}'
end
local function end_for_others(ns, rq, run, status, text, ttl, retention_s, data)
  local known = redis.call('HMGET', ns .. ':run:' .. run, 'forked', 'parent', 'parent_step', 'parents')
  if known[1] then end_open_steps(ns, rq, run, ttl, retention_s) end
  if known[2] then settle(ns, rq, known[2], known[3], result_of(status, text), '', ttl, data) end
  for parent, step in string.gmatch(known[4] or '', '(%w+):(%w+) ') do -- of a batch, or debounced
    settle(ns, rq, parent, step, result_of(status, text), '', ttl, data)
  end
end
