-- What may end a run from outside: events that cancel it, and deadlines. A run's field `watched` lists
-- its places, a key and a member a line, so that whatever ends it leaves none behind; `single` is one that it
-- has already. Needs clock.
-- Returns why a run is cancelled before it begins: an event that came after its own was routed first.
local function place_of(entry) -- a stream's entry as one number: whole and 4,096th milliseconds
  local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
  return ms + math.min(tonumber(sequence), 4095) / 4096
end
local function watch_run(ns, run, terms, since, single)
  local places, late = {single}, nil
  local function place(key, member, score)
    redis.call('ZADD', ns .. ':' .. key, score, member)
    places[#places + 1] = key .. '\t' .. member .. '\n'
  end
  for _, rule in ipairs(terms.cancel or {}) do
    place('cancel:' .. rule, run, since)
    local seen, event = string.match(redis.call('GET', ns .. ':cancelled:' .. rule) or '', '^(%S+) (.*)$')
    if seen and tonumber(seen) > since then late = event end
  end
  for _, kind in ipairs({'start', 'finish'}) do
    local span = terms[kind]
    if span then
      local member = kind .. '|' .. string.format('%d', span) .. '|' .. run
      place('deadlines', member, now_ms + span)
      if redis.call('ZRANGE', ns .. ':deadlines', 0, 0)[1] == member then
        redis.call('LPUSH', ns .. ':wake:timer', '1')
        redis.call('LTRIM', ns .. ':wake:timer', 0, 0)
        redis.call('EXPIRE', ns .. ':wake:timer', 60)
      end
    end
  end
  if #places > 0 then redis.call('HSET', ns .. ':run:' .. run, 'watched', table.concat(places)) end
  return late
end
