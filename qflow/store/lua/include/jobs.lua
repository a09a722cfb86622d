-- RQ's layout of a job: closing one and opening the next. Needs clock.
local function close_job(key, id, status, registry, wip, worker, ttl)
  redis.call('HSET', key, 'status', status, 'ended_at', stamp)
  redis.call('EXPIRE', key, ttl)
  redis.call('ZADD', registry, seconds + ttl, id)
  redis.call('ZREM', wip, id .. ':' .. worker)
end
local function open_job(key, status, queue, data, description, timeout, ttl)
  redis.call('HSET', key, 'created_at', stamp, 'enqueued_at', stamp, 'data', data, 'origin', queue,
    'description', description, 'status', status, 'timeout', timeout, 'result_ttl', ttl, 'failure_ttl', ttl)
end
