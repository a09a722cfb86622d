-- Moves a run between the indexes of its status.
local function move_index(ns, fn, run, from, to, created)
  if from == to then return end
  redis.call('ZREM', ns .. ':runs:' .. from, run)
  redis.call('ZREM', ns .. ':fn:' .. fn .. ':' .. from, run)
  redis.call('ZADD', ns .. ':runs:' .. to, created, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':' .. to, created, run)
end
