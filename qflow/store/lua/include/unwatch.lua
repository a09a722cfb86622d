-- Takes a run out of the places from which something may end it; see terms.lua. Needs nothing.
local function unwatch(ns, watched)
  for key, member in string.gmatch(watched or '', '([^\t]+)\t([^\n]+)\n') do
    redis.call('ZREM', ns .. ':' .. key, member)
  end
end
