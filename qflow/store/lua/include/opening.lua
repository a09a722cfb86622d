-- Opens one step beside the main lane, by its kind; returns 1 where it has a job for a worker. `known` are fn,
-- status, created, flow, age and ahead of its run. Needs clock, jobs, create, timer, slots, serve, open, settle
-- and ending.
-- Both return a result where the wait is over before it began.
local function start_child(ns, rq, run, hash, item, data, ttl, keep_s)
  local spec = redis.call('HGET', ns .. ':functions', item.fn)
  if not spec then return item.refused end
  spec = cjson.decode(spec)
  local child, child_id = item.child, 'invoke:' .. run .. ':' .. hash
  if not create_run(ns, rq, item.fn, child, spec.version, spec.app, child_id, item.event, data, ttl, nil,
      item.terms, keep_s, scheduled_of(ns, rq)) then
    child = redis.call('GET', ns .. ':seen:' .. item.fn .. ':' .. child_id) -- begun before, then dropped
  end
  local child_key = ns .. ':run:' .. child
  local known = redis.call('HMGET', child_key, 'lane', 'status', 'output', 'error', 'reason', 'parent', 'parent_step', 'parents')
  redis.call('HSET', ns .. ':run:' .. run, 'child:' .. hash, child)
  if string.sub(known[1] or 'e', 1, 1) == 'e' then -- it has ended, or is gone
    return result_of(known[2] or 'cancelled', known[3] or known[4] or known[5])
  end
  if not known[6] then
    redis.call('HSET', child_key, 'parent', run, 'parent_step', hash)
  elseif known[6] ~= run or known[7] ~= hash then -- it was invoked for others too, and merged
    redis.call('HSET', child_key, 'parents', (known[8] or '') .. run .. ':' .. hash .. ' ')
  end
  return nil
end
local function begin_wait(ns, rq, run, hash, item, data, ttl, keep_s)
  local member = run .. ':' .. hash
  if item.kind == 'event' then
    for _, digest in ipairs(item.digests) do
      redis.call('ZADD', ns .. ':waiters:' .. digest .. (item.when and ':when' or ''), now, member)
    end
  elseif item.kind == 'signal' then
    if not redis.call('SET', ns .. ':signal:' .. item.signal, member, 'NX') then return item.refused end
    if item.approval then redis.call('ZADD', ns .. ':approvals', now, member) end
  elseif item.kind == 'child' then
    return start_child(ns, rq, run, hash, item, data, ttl, keep_s)
  end
  return nil
end
local function open_step(ns, rq, run, token, known, hash, step, item, data, ttl, keep_s)
  local run_key, fn = ns .. ':run:' .. run, known[1]
  if item.kind == 'drop' then
    local record = redis.call('HGET', run_key .. ':open', hash)
    if record then
      close_open(ns, rq, run, hash, record, 'canceled', ttl)
      let_go_of_step(ns, rq, run, hash, string.sub(record, 1, 1))
    end
    return 0
  end
  local id = run .. '-' .. hash .. '-' .. token
  local job = rq .. ':job:' .. id
  if item.kind == 'run' then
    local queued = not known[4] or take_slots(ns, run .. ':' .. hash, known[4], known[5])
    redis.call('HSET', run_key .. ':open', hash, table.concat({queued and 'q' or 'b', token, string.format('%d', item.attempt),
      string.format('%d', item.deaths), '', step}, '|'))
    open_job(job, queued and 'queued' or 'deferred', ns, data, fn .. '/' .. step, -1, ttl)
    if queued then place_job(ns, rq, id, known[6]) end
    return 1
  end
  redis.call('HSET', run_key .. ':open', hash, 'w|' .. token .. '|0|0||' .. step)
  if item.kind == 'send' then
    for _, fields in ipairs(item.events) do redis.call('XADD', ns .. ':events', '*', unpack(fields)) end
    settle(ns, rq, run, hash, item.result, '', ttl, data)
    return 0
  end
  redis.call('HSET', run_key .. ':waits', hash, item.text)
  local due = item.due_ms > 0 and item.due_ms or item.delay_ms > 0 and now_ms + item.delay_ms or nil
  if due then
    redis.call('XADD', run_key .. ':trace', '*', 'j', item.note, 'due', string.format('%.0f', due))
  else
    redis.call('XADD', run_key .. ':trace', '*', 'j', item.note)
  end
  local over
  if item.found then
    redis.call('HSET', run_key .. ':waits', 'e:' .. item.found_id, hash)
    over = '{"ok":' .. item.found .. '}'
  else
    over = begin_wait(ns, rq, run, hash, item, data, ttl, keep_s)
  end
  if over then
    settle(ns, rq, run, hash, over, '', ttl, data)
  elseif due then
    open_job(job, 'scheduled', ns, data, fn .. '/' .. step, -1, ttl)
    set_timer(ns, scheduled_of(ns, rq), id, due)
  end
  return (item.kind == 'child' and not over) and 1 or 0 -- its job is in the queue
end
