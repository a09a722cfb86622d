-- Keeps why a job failed, where RQ's tools look for it: the latest entry of its results. Needs nothing.
local function record_failure(rq, id, failure, worker, ttl)
  if failure == '' then return end
  local key = rq .. ':results:' .. id
  redis.call('XADD', key, 'MAXLEN', 10, '*', 'type', 2, 'worker_name', worker, 'exc_string', failure)
  redis.call('EXPIRE', key, ttl)
end
