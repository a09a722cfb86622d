-- Let a run that waits for a time go on now: past a sleep, or to its next attempt. Without `step`, all its
-- open steps that wait so do.
-- KEYS: run trace open waits scheduled wake
-- ARGV: ns rq run what step data ttl
-- Builds: <rq>:job:<job>, what a settled step has, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: {1, step...} those that go on, {0, what it waits for, step} something else, {-1, status} it does not wait for a time
-- Callers: store.again.hasten
local run_key, trace_key, open_key, waits_key, scheduled_key, wake_key = unpack(KEYS)
local ns, rq, run, what, step, data, ttl = unpack(ARGV)
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: resume
-- include: open
-- include: settle
local reply, other = {1}, nil
local function queue_job(hash, token, waits)
  local id = run .. '-' .. hash .. '-' .. token
  redis.call('ZREM', scheduled_key, id)
  if waits then
    redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred')
    return
  end
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'queued', 'enqueued_at', stamp)
  place_job(ns, rq, id, nil)
  wake_workers(wake_key, 1)
end
local function look_at_open(hash, record)
  local state, token, _, _, _, name = string.match(record, RECORD)
  local wait = state == 'w' and cjson.decode(redis.call('HGET', waits_key, hash)) or {}
  local waits = state == 'd' and 'retry' or wait.kind == 'sleep' and 'sleep'
  if not waits or (step ~= '' and step ~= name) then return end
  if waits ~= what then
    other = {0, waits, name}
    return
  end
  if waits == 'sleep' then
    settle(ns, rq, run, hash, wait.late, '', ttl, data)
  else
    local queued = take_slots_of_step(ns, run, hash)
    redis.call('HSET', open_key, hash, (queued and 'q' or 'b') .. string.sub(record, 2))
    queue_job(hash, token, not queued)
  end
  reply[#reply + 1] = name
end
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'flow', 'age')
local token, current = string.match(known[1] or '', '^d|(%d+)|%d+|%d+|[^|]*|(.*)$')
local function waits_of_lane() -- as its latest note says; those of open steps stand between
  for _, entry in ipairs(redis.call('XREVRANGE', trace_key, '+', '-', 'COUNT', 200)) do
    local note = cjson.decode(entry[2][2])
    if note.t == 'postponed' then return 'retry' end
    if (note.t == 'sleep' or note.t == 'retry') and note.id == current then return note.t end
  end
  return ''
end
if token then
  local waits = waits_of_lane()
  if waits == what and (step == '' or step == current) then
    local queued = not known[5] or take_slots(ns, run, known[5], known[6])
    redis.call('HSET', run_key, 'lane', (queued and 'q' or 'b') .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
    redis.call('HDEL', run_key, 'due')
    queue_job(current == '' and 'enter' or string.sub(redis.sha1hex(current), 1, 10), token, not queued)
    move_index(ns, known[2], run, known[3], 'queued', known[4])
    reply[#reply + 1] = current
  else
    other = {0, waits, current}
  end
end
local open = redis.call('HGETALL', open_key)
for i = 1, #open, 2 do look_at_open(open[i], open[i + 1]) end
if #reply > 1 then return reply end
return other or {-1, known[3] or ''}
