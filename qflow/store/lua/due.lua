-- Move due delayed jobs to the queue, a batch at a time, and settle open steps whose sleep or time-out
-- is over. A run that has yet to start passes the gates that are left, and who finds a limit full waits for it.
-- Jobs that are not qflow's are left alone.
-- KEYS: scheduled wake leader
-- ARGV: ns rq token limit data ttl keep_s
-- Builds: <ns>:run:<run>…, <rq>:job:<id> of the ids moved, what an open step waited for, <ns>:rate:<fn>:<key>, <ns>:throttle:<fn>:<key>, <ns>:single:<fn>:<key>, <ns>:pending:<fn>:<key>, <ns>:behind, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the runs' status
-- Returns: {-1} not the leader, else {moved, now_ms, ms of the next due time or -1}
-- Callers: store.timer.due
local scheduled_key, wake_key, leader_key = unpack(KEYS)
local ns, rq, token, limit, data, ttl, keep_s =
  ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
if redis.call('HGET', leader_key, 'token') ~= token then return {-1} end
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: timer
-- include: place
-- include: slots
-- include: serve
-- include: resume
-- include: open
-- include: settle
-- include: ending
-- include: unwatch
-- include: holdings
-- include: tell
-- include: cancel
-- include: gates
-- include: admit
local now_s = string.format('%.3f', now_ms / 1000)
local moved, offset = 0, 0
local function queue_job(id, ahead, has_slots)
  if not has_slots then return redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred') end
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'queued', 'enqueued_at', stamp)
  place_job(ns, rq, id, ahead)
  moved = moved + 1
end
local function move(id, run, hash, job_token)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'flow', 'ahead', 'gates', 'age')
  local record = redis.call('HGET', run_key .. ':open', hash)
  if record then
    local state, open_token = string.match(record, RECORD)
    if open_token ~= job_token then return end
    if state == 'd' then
      local queued = not known[5] or take_slots(ns, run .. ':' .. hash, known[5], known[8])
      redis.call('HSET', run_key .. ':open', hash, (queued and 'q' or 'b') .. string.sub(record, 2))
      queue_job(id, known[6], queued)
    elseif state == 'w' then
      local wait = cjson.decode(redis.call('HGET', run_key .. ':waits', hash))
      settle(ns, rq, run, hash, wait.late, '', ttl, data)
      moved = moved + 1
    end
  elseif string.match(known[1] or '', '^d|(%d+)|') == job_token then
    if known[7] and job_token == '1' then
      fire_run(ns, rq, run, scheduled_key, ttl, keep_s, data)
      moved = moved + 1
      return
    end
    local queued = not known[5] or take_slots(ns, run, known[5], known[8])
    redis.call('HSET', run_key, 'lane', (queued and 'q' or 'b') .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
    redis.call('HDEL', run_key, 'due')
    if known[6] then redis.call('ZREM', ns .. ':behind', id) end
    queue_job(id, known[6], queued)
    move_index(ns, known[2], run, known[3], 'queued', known[4])
  end
end
while moved < limit and offset < 10000 do
  local ids = redis.call('ZRANGEBYSCORE', scheduled_key, '-inf', now_s, 'LIMIT', offset, limit)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local run, hash, job_token = string.match(id, '^(%w+)%-(%w+)%-(%d+)$')
    if not run or #run ~= 26 then
      offset = offset + 1
    else
      redis.call('ZREM', scheduled_key, id)
      move(id, run, hash, job_token)
    end
  end
end
if moved > 0 then wake_workers(wake_key, moved) end
local next = redis.call('ZRANGEBYSCORE', scheduled_key, '(' .. now_s, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local due = next[2] and math.floor(tonumber(next[2]) * 1000 + 0.5) or -1
if moved >= limit then due = now_ms end
return {moved, now_ms, due}
