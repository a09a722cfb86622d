-- Move due delayed jobs to the queue, or to the backlog of a limit that is full, a batch at a time. A run
-- that has yet to start passes the gates that are left. Jobs that are not qflow's are left alone.
-- KEYS: scheduled queue wake leader
-- ARGV: ns rq token limit ttl keep_s
-- Builds: <ns>:run:<run>, <rq>:job:<id> of the ids moved, <ns>:rate:<fn>:<key>, <ns>:throttle:<fn>:<key>, <ns>:single:<fn>:<key>, <ns>:pending:<fn>:<key>, <ns>:behind, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the runs' status
-- Returns: {-1} not the leader, else {moved, now_ms, ms of the next due time or -1}
-- Callers: store.timer.due
local scheduled_key, queue_key, wake_key, leader_key = unpack(KEYS)
local ns, rq, token, limit, ttl, keep_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
if redis.call('HGET', leader_key, 'token') ~= token then return {-1} end
-- include: clock
-- include: jobs
-- include: index
-- include: wake
-- include: timer
-- include: place
-- include: slots
-- include: serve
-- include: unwatch
-- include: release
-- include: tell
-- include: cancel
-- include: gates
-- include: admit
local now_s = string.format('%.3f', now_ms / 1000)
local moved, offset = 0, 0
while moved < limit and offset < 10000 do
  local ids = redis.call('ZRANGEBYSCORE', scheduled_key, '-inf', now_s, 'LIMIT', offset, limit)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local run, job_token = string.match(id, '^(%w+)%-%w+%-(%d+)$')
    local run_key = ns .. ':run:' .. (run or '')
    local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'flow', 'ahead', 'gates', 'age')
    if not run or #run ~= 26 then
      offset = offset + 1
    else
      redis.call('ZREM', scheduled_key, id)
      local lane_token = string.match(known[1] or '', '^d|(%d+)|')
      if lane_token == job_token then
        if known[7] and lane_token == '1' then
          fire_run(ns, rq, run, scheduled_key, ttl, keep_s)
        else
          local ahead = known[6]
          local queued = not known[5] or take_slots(ns, run, known[5], known[8])
          redis.call('HSET', run_key, 'lane', (queued and 'q' or 'b') .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
          redis.call('HDEL', run_key, 'due')
          if ahead then redis.call('ZREM', ns .. ':behind', id) end
          redis.call('HSET', rq .. ':job:' .. id, 'status', queued and 'queued' or 'deferred', 'enqueued_at', stamp)
          if queued then place_job(ns, rq, id, ahead) end
          move_index(ns, known[2], run, known[3], 'queued', known[4])
        end
        moved = moved + 1
      end
    end
  end
end
if moved > 0 then wake_workers(wake_key, moved) end
local next = redis.call('ZRANGEBYSCORE', scheduled_key, '(' .. now_s, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local due = next[2] and math.floor(tonumber(next[2]) * 1000 + 0.5) or -1
if moved >= limit then due = now_ms end
return {moved, now_ms, due}
