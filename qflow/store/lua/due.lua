-- Move due delayed jobs to the queue, a batch at a time. Jobs that are not qflow's are left alone.
-- KEYS: scheduled queue wake leader
-- ARGV: ns rq token limit
-- Builds: <ns>:run:<run>, <rq>:job:<id> of the ids moved, the indexes of the runs' status
-- Returns: {-1} not the leader, else {moved, now_ms, ms of the next due time or -1}
-- Callers: store.timer.due
local scheduled_key, queue_key, wake_key, leader_key = unpack(KEYS)
local ns, rq, token, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HGET', leader_key, 'token') ~= token then return {-1} end
-- include: clock
-- include: index
-- include: wake
local now_s = string.format('%.3f', now_ms / 1000)
local moved, offset = 0, 0
while moved < limit and offset < 10000 do
  local ids = redis.call('ZRANGEBYSCORE', scheduled_key, '-inf', now_s, 'LIMIT', offset, limit)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local run, job_token = string.match(id, '^(%w+)%-%w+%-(%d+)$')
    local run_key = ns .. ':run:' .. (run or '')
    local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created')
    if not run or #run ~= 26 then
      offset = offset + 1
    else
      redis.call('ZREM', scheduled_key, id)
      local lane_token = string.match(known[1] or '', '^d|(%d+)|')
      if lane_token == job_token then
        redis.call('HSET', run_key, 'lane', 'q' .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
        redis.call('HDEL', run_key, 'due')
        redis.call('HSET', rq .. ':job:' .. id, 'status', 'queued', 'enqueued_at', stamp)
        redis.call('RPUSH', queue_key, id)
        move_index(ns, known[2], run, known[3], 'queued', known[4])
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
