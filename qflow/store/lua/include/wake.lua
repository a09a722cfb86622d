-- Hints for idle workers: one element for each queued job, at most 32.
local function wake_workers(key, count)
  local room = 32 - redis.call('LLEN', key)
  for _ = 1, math.min(room, count) do redis.call('RPUSH', key, '1') end
  redis.call('EXPIRE', key, 60)
end
