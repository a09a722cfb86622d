-- Notes an entry of the stream by its name and value: the newest 1,000 of a day. Needs nothing.
local function note_event(recent_key, entry)
  redis.call('ZADD', recent_key, string.match(entry, '^%d+'), entry)
  redis.call('ZREMRANGEBYRANK', recent_key, 0, -1001)
  redis.call('EXPIRE', recent_key, 86400)
end
