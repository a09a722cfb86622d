-- Whether a worker holds a job already whose worker died more than once. Needs nothing.
local function deaths_of(ns, member)
  local run, hash = string.match(member, '^(%w+):?(%w*)$')
  local run_key = ns .. ':run:' .. run
  local record = hash == '' and redis.call('HGET', run_key, 'lane') or redis.call('HGET', run_key .. ':open', hash)
  return tonumber(string.match(record or '', '^s|%d+|%d+|(%d+)') or 0)
end
local function holds_suspect(ns, lanes_key)
  for _, member in ipairs(redis.call('SMEMBERS', lanes_key)) do
    if deaths_of(ns, member) > 1 then return true end
  end
  return false
end
