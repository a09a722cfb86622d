-- Records of open steps: reading one, and closing it with all that stands for it: its job, timer and
-- waiter; its slots are let go of by whoever asks for that (serve.lua). Needs clock and jobs.
local RECORD = '^(%a)|(%d+)|(%d+)|(%d+)|([^|]*)|(.*)$'
local function scheduled_of(ns, rq)
  return rq .. ':scheduler:scheduled_jobs' .. (ns == 'qflow' and '' or ':' .. ns)
end
local function forget_wait(ns, run, hash)
  local waits_key = ns .. ':run:' .. run .. ':waits'
  local text = redis.call('HGET', waits_key, hash)
  if not text then return nil end
  local wait, member = cjson.decode(text), run .. ':' .. hash
  for _, digest in ipairs(wait.digests or {}) do
    redis.call('ZREM', ns .. ':waiters:' .. digest .. (wait.when and ':when' or ''), member)
  end
  if wait.signal and redis.call('GET', ns .. ':signal:' .. wait.signal) == member then
    redis.call('DEL', ns .. ':signal:' .. wait.signal)
  end
  if wait.approval then redis.call('ZREM', ns .. ':approvals', member) end
  redis.call('HDEL', waits_key, hash)
  return wait
end
local function close_open(ns, rq, run, hash, record, status, ttl)
  local state, token, _, _, owner = string.match(record, RECORD)
  local id = run .. '-' .. hash .. '-' .. token
  local job = rq .. ':job:' .. id
  redis.call('HDEL', ns .. ':run:' .. run .. ':open', hash)
  if state == 's' then redis.call('SREM', ns .. ':lanes:' .. owner, run .. ':' .. hash) end
  if state == 'd' or state == 'w' then redis.call('ZREM', scheduled_of(ns, rq), id) end
  if redis.call('EXISTS', job) == 1 then
    local registry = status == 'failed' and ':failed:' or ':finished:'
    close_job(job, id, status, rq .. registry .. ns, rq .. ':wip:' .. ns, owner, ttl)
  end
  return forget_wait(ns, run, hash)
end
