-- Return the jobs of a worker whose lease lapsed to the front of the queue, each as a new attempt
-- under a new token, and forget the worker. A worker that leaves runs it for itself, and so does one
-- that finds a single run or open step (`only`, as run:token or run:hash:token) in its name that it knows
-- nothing of: no attempt is used up then, and what it has claimed again since is left alone.
-- KEYS: leases lanes queue wake wip failed
-- ARGV: ns rq worker leaving data ttl only failure
-- Builds: <ns>:run:<run>…, <rq>:job:<id> old and new, <rq>:results:<job>, <rq>:worker:<worker>, the indexes of the runs' status
-- Returns: jobs returned, or -1 where the worker is alive or was rescued before
-- Callers: store.lease.rescue
local leases_key, lanes_key, queue_key, wake_key, wip_key, failed_key = unpack(KEYS)
local ns, rq, worker, leaving, data, ttl, only, failure = unpack(ARGV)
-- include: clock
local lease = redis.call('ZSCORE', leases_key, worker)
if not lease or (leaving ~= '1' and tonumber(lease) > now_ms) then return -1 end
-- include: jobs
-- include: failure
-- include: index
-- include: wake
local only_member, only_token = string.match(only, '^(.+):(%d+)$')
local returned = 0
local function close_old(old, description)
  if leaving == '1' then
    redis.call('DEL', rq .. ':job:' .. old)
    redis.call('ZREM', wip_key, old .. ':' .. worker)
  else
    if redis.call('EXISTS', rq .. ':job:' .. old) == 0 then -- a step too young to have been opened
      open_job(rq .. ':job:' .. old, 'started', ns, data, description, -1, ttl)
    end
    redis.call('HSET', rq .. ':job:' .. old, 'data', data)
    close_job(rq .. ':job:' .. old, old, 'failed', failed_key, wip_key, worker, ttl)
    record_failure(rq, old, failure, worker, ttl)
  end
end
local function give_back(run, open_hash)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created')
  local held = open_hash == '' and known[1] or redis.call('HGET', run_key .. ':open', open_hash)
  local token, attempt, deaths, owner, step =
    string.match(held or '', '^s|(%d+)|(%d+)|(%d+)|([^|]*)|(.*)$')
  if owner ~= worker or (only_token and token ~= only_token) then return end
  local hash = step == '' and 'enter' or string.sub(redis.sha1hex(step), 1, 10)
  local id = run .. '-' .. hash .. '-' .. (tonumber(token) + 1)
  if leaving ~= '1' then
    attempt, deaths = attempt + 1, deaths + 1
    redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"died","w":"' .. worker .. '"}', 'step', step)
    redis.call('HINCRBY', ns .. ':counters', 'deaths', 1)
  end
  local description = known[2] .. (step == '' and '' or '/' .. step)
  close_old(run .. '-' .. hash .. '-' .. token, description)
  local record = table.concat({'q', string.format('%d', token + 1), string.format('%d', attempt),
    string.format('%d', deaths), '', step}, '|')
  if open_hash == '' then
    redis.call('HSET', run_key, 'lane', record, 'status', 'queued', 'queued', now_ms)
    move_index(ns, known[2], run, known[3], 'queued', known[4])
  else
    redis.call('HSET', run_key .. ':open', open_hash, record)
  end
  open_job(rq .. ':job:' .. id, 'queued', ns, data, description, -1, ttl)
  redis.call('LPUSH', queue_key, id)
  returned = returned + 1
end
for _, member in ipairs(only_member and {only_member} or redis.call('SMEMBERS', lanes_key)) do
  give_back(string.match(member, '^(%w+):?(%w*)$'))
end
if returned > 0 then wake_workers(wake_key, returned) end
if only_member then
  local run, hash = string.match(only_member, '^(%w+):?(%w*)$')
  local run_key = ns .. ':run:' .. run
  local record = hash == '' and redis.call('HGET', run_key, 'lane') or redis.call('HGET', run_key .. ':open', hash)
  if string.match(record or '', '^s|%d+|%d+|%d+|([^|]*)|') ~= worker then
    redis.call('SREM', lanes_key, only_member)
  end
  return returned
end
redis.call('DEL', lanes_key, rq .. ':worker:' .. worker, rq .. ':worker:' .. worker .. ':executions')
redis.call('SREM', rq .. ':workers', rq .. ':worker:' .. worker)
redis.call('SREM', rq .. ':workers:' .. ns, rq .. ':worker:' .. worker)
redis.call('ZREM', leases_key, worker)
return returned
