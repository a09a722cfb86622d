-- Events that came before a step began to wait for them, by the routers' index. Needs nothing.
local function later(a, b)
  local a_ms, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_n) > tonumber(b_n)
end
-- Returns the entries that the worker has not looked at yet, nil where there are none. An event that it
-- found, but that another step of the run was given meanwhile, is one to look past.
local function unheard(ns, waits_key, item)
  if not item.mark then return nil end
  local since = item.mark
  if item.found_id then
    if redis.call('HEXISTS', waits_key, 'e:' .. item.found_id) == 0 then return nil end
    since = item.before
  end
  local found = {}
  for _, digest in ipairs(item.digests) do
    local ids = redis.call('ZRANGEBYSCORE', ns .. ':recent:' .. digest, string.match(since, '^%d+'), '+inf')
    for _, id in ipairs(ids) do
      if later(id, since) then found[#found + 1] = id end
    end
  end
  return found[1] and found or nil
end
