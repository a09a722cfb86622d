-- Slots of concurrency limits, and the backlog of those who wait for one. A limit is `<id>=<value of its
-- key>`, a group all limits of a job, with commas. Who waits stands in its group's backlog, the oldest
-- first, and the group in the ring of one limit that is full: so a limit with room has an empty ring.
-- A run's `flow` is `<its limits a step>;<its limits a run>`, its `age` the place of its event in time, less
-- its priority (ms). A `member` is a run, for its main lane, or `run:hash` for an open step. Needs clock.
local most = {} -- limits in force, looked at once a script
local function has_room(ns, limit)
  local id = string.match(limit, '^[^=]*')
  if most[id] == nil then most[id] = tonumber(redis.call('HGET', ns .. ':limits', id) or '') or false end
  return not most[id] or redis.call('ZCARD', ns .. ':slots:' .. limit) < most[id]
end
local function limits_of(group)
  local limits = {}
  for limit in string.gmatch(group, '[^,]+') do limits[#limits + 1] = limit end
  return limits
end
local function first_full(ns, limits)
  for _, limit in ipairs(limits) do
    if not has_room(ns, limit) then return limit end
  end
end
local function park(ns, limit, group)
  redis.call('RPUSH', ns .. ':ring:' .. limit, group)
  redis.call('ZADD', ns .. ':rings', 'NX', now, limit)
end
-- The limits that a member's next job is to be counted in; those of the run only as long as it has no slot,
-- and never for its open steps, which begin when it has.
local function group_of(ns, member, flow)
  local steps, runs = string.match(flow or '', '^(.-);(.*)$')
  if not steps then return '' end
  if runs == '' or #member > 26 or redis.call('ZSCORE', ns .. ':slots:' .. limits_of(runs)[1], member) then return steps end
  return steps == '' and runs or runs .. ',' .. steps
end
-- Returns whether the member has its slots now; where not, it waits for them. Who comes later than others
-- of its group waits behind them.
local function take_slots(ns, member, flow, age)
  local group = group_of(ns, member, flow)
  if group == '' then return true end
  local limits, backlog_key = limits_of(group), ns .. ':backlog:' .. group
  if redis.call('EXISTS', backlog_key) == 0 then
    local full = first_full(ns, limits)
    if not full then
      for _, limit in ipairs(limits) do redis.call('ZADD', ns .. ':slots:' .. limit, now, member) end
      return true
    end
    park(ns, full, group)
  end
  redis.call('ZADD', backlog_key, age, member)
  return false
end
-- The same for an open step whose record is about to say so.
local function take_slots_of_step(ns, run, hash)
  local known = redis.call('HMGET', ns .. ':run:' .. run, 'flow', 'age')
  return not known[1] or take_slots(ns, run .. ':' .. hash, known[1], known[2])
end
