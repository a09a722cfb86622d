-- Frees slots and hands them to those who wait, groups in turn. Needs clock, place, slots and wake.
local granted = 0
local function grant(ns, rq, member)
  local run, hash = string.sub(member, 1, 26), string.sub(member, 28)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'ahead')
  local record = hash == '' and known[1] or redis.call('HGET', run_key .. ':open', hash)
  local token, step = string.match(record or '', '^b|(%d+)|%d+|%d+|[^|]*|(.*)$')
  if not token then return false end
  local id = run .. '-' .. (step == '' and 'enter' or string.sub(redis.sha1hex(step), 1, 10)) .. '-' .. token
  record = 'q' .. string.sub(record, 2)
  if hash == '' then
    redis.call('HSET', run_key, 'lane', record, 'queued', now)
  else
    redis.call('HSET', run_key .. ':open', hash, record)
  end
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'queued', 'enqueued_at', stamp)
  place_job(ns, rq, id, known[2])
  wake_workers(ns .. ':wake', 1)
  granted = granted + 1
  return true
end
-- A group whose other limit is full moves to that one's ring. Where others wait for a limit named before
-- this one, it takes its turn there: so that what frees both slots does not serve its own key first.
local function elsewhere(ns, limits, limit)
  local before = true
  for _, other in ipairs(limits) do
    if other == limit then
      before = false
    elseif not has_room(ns, other) then
      return other, false
    elseif before and redis.call('EXISTS', ns .. ':ring:' .. other) == 1 then
      return other, true
    end
  end
end
local function serve(ns, rq, work)
  local at = 1
  while work[at] do
    local limit = work[at]
    local ring_key = ns .. ':ring:' .. limit
    while granted < 1000 and has_room(ns, limit) do
      local group = redis.call('LPOP', ring_key)
      if not group then break end
      local limits, backlog_key = limits_of(group), ns .. ':backlog:' .. group
      local other, again = elsewhere(ns, limits, limit)
      if other then
        park(ns, other, group)
        if again then work[#work + 1] = other end
      else
        local member = redis.call('ZPOPMIN', backlog_key)[1]
        if member and grant(ns, rq, member) then
          for _, each in ipairs(limits) do redis.call('ZADD', ns .. ':slots:' .. each, now, member) end
        end
        if redis.call('EXISTS', backlog_key) == 1 then park(ns, first_full(ns, limits) or limit, group) end
      end
    end
    if redis.call('EXISTS', ring_key) == 0 then redis.call('ZREM', ns .. ':rings', limit) end
    at = at + 1
  end
end
-- Frees what a job of the member holds, and at the run's end (`ended`) all that the run holds.
local function free_slots(ns, rq, member, flow, ended)
  local steps, runs = string.match(flow, '^(.-);(.*)$')
  if not steps then return end
  local limits, work = limits_of(ended and runs .. ',' .. steps or steps), {}
  for i = #limits, 1, -1 do
    if redis.call('ZREM', ns .. ':slots:' .. limits[i], member) == 1 then work[#work + 1] = limits[i] end
  end
  serve(ns, rq, work)
end
-- Between two steps of a run: where others wait for its slots that come first, it waits behind them and
-- they have them. Returns whether it did.
local function yield_slots(ns, rq, run, flow, age)
  local steps = string.match(flow, '^(.-);') or ''
  local others = false
  for _, limit in ipairs(limits_of(steps)) do
    local ring = redis.call('LRANGE', ns .. ':ring:' .. limit, 0, 1)
    if ring[2] or (ring[1] and ring[1] ~= steps) then others = true end
    if ring[1] == steps and not ring[2] then
      others = others or tonumber(redis.call('ZRANGE', ns .. ':backlog:' .. steps, 0, 0, 'WITHSCORES')[2]) < tonumber(age)
    end
  end
  if not others then return false end
  local limits, backlog_key = limits_of(steps), ns .. ':backlog:' .. steps
  if redis.call('EXISTS', backlog_key) == 0 then park(ns, first_full(ns, limits) or limits[1], steps) end
  redis.call('ZADD', backlog_key, age, run)
  return true
end
-- Takes a member that has ended out of the backlog.
local function leave_backlog(ns, member, flow)
  local group = group_of(ns, member, flow)
  local backlog_key = ns .. ':backlog:' .. group
  if redis.call('ZREM', backlog_key, member) == 0 or redis.call('EXISTS', backlog_key) == 1 then return end
  for _, limit in ipairs(limits_of(group)) do
    redis.call('LREM', ns .. ':ring:' .. limit, 1, group)
    if redis.call('EXISTS', ns .. ':ring:' .. limit) == 0 then redis.call('ZREM', ns .. ':rings', limit) end
  end
end
-- What an open step held or waited for in this state, when its record says something else already.
local function let_go_of_step(ns, rq, run, hash, state)
  local flow = string.find('qsb', state, 1, true) and redis.call('HGET', ns .. ':run:' .. run, 'flow')
  if not flow then return end
  if state == 'b' then
    leave_backlog(ns, run .. ':' .. hash, flow)
  else
    free_slots(ns, rq, run .. ':' .. hash, flow, false)
  end
end
