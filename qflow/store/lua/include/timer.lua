-- Sets a timer, and tells the scheduler where it is the earliest of all. Needs nothing.
local function set_timer(ns, scheduled_key, id, due)
  redis.call('ZADD', scheduled_key, string.format('%.3f', due / 1000), id)
  if redis.call('ZRANGE', scheduled_key, 0, 0)[1] == id then
    redis.call('LPUSH', ns .. ':wake:timer', '1')
    redis.call('LTRIM', ns .. ':wake:timer', 0, 0)
    redis.call('EXPIRE', ns .. ':wake:timer', 60)
  end
end
