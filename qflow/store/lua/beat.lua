-- Register a worker or renew its lease, and keep its entries in RQ's registries fresh.
-- KEYS: leases lanes rq_worker rq_workers rq_queue_workers wip rq_worker_executions
-- ARGV: ns rq worker lease_ms first queues hostname pid version python state finished failed worked wip_ttl [job]...
-- Builds: <rq>:execution:<job>:<worker>, <rq>:executions:<job>, <rq>:job:<job> of the jobs running
-- Returns: {-1} where the lease was lost, else {now_ms, run...} with the runs whose lanes the worker holds
-- Callers: store.lease.beat
local leases_key, lanes_key, worker_key, workers_key, queue_workers_key, wip_key, executions_key = unpack(KEYS)
local ns, rq, worker, lease_ms, first, queues, hostname, pid, version, python, state, finished, failed,
  worked, wip_ttl = unpack(ARGV, 1, 15)
-- include: clock
if first ~= '1' and not redis.call('ZSCORE', leases_key, worker) then return {-1} end
redis.call('ZADD', leases_key, now_ms + tonumber(lease_ms), worker)
redis.call('EXPIRE', lanes_key, 86400)
if redis.call('EXISTS', worker_key) == 0 then
  redis.call('HSET', worker_key, 'birth', stamp, 'queues', queues, 'hostname', hostname, 'pid', pid,
    'ip_address', '127.0.0.1', 'version', version, 'python_version', python)
end
redis.call('SADD', workers_key, worker_key)
redis.call('SADD', queue_workers_key, worker_key)
redis.call('HSET', worker_key, 'last_heartbeat', stamp, 'state', state)
redis.call('HINCRBY', worker_key, 'successful_job_count', finished)
redis.call('HINCRBY', worker_key, 'failed_job_count', failed)
redis.call('HINCRBYFLOAT', worker_key, 'total_working_time', worked)
redis.call('EXPIRE', worker_key, math.ceil(tonumber(lease_ms) / 1000) + 60)
redis.call('DEL', executions_key)
for i = 16, #ARGV do
  local id = ARGV[i]
  local member = id .. ':' .. worker
  if redis.call('ZSCORE', wip_key, member) then
    redis.call('ZADD', wip_key, seconds + wip_ttl, member)
    redis.call('HSET', rq .. ':job:' .. id, 'last_heartbeat', stamp)
    local execution = rq .. ':execution:' .. member
    local at = seconds + tonumber(time[2]) / 1000000
    redis.call('HSETNX', execution, 'created_at', at)
    redis.call('HSET', execution, 'id', worker, 'job_id', id, 'last_heartbeat', at, 'worker_name', worker)
    redis.call('EXPIRE', execution, wip_ttl)
    redis.call('ZADD', rq .. ':executions:' .. id, seconds + wip_ttl, worker)
    redis.call('EXPIRE', rq .. ':executions:' .. id, wip_ttl)
    redis.call('SADD', executions_key, member)
  end
end
redis.call('EXPIRE', executions_key, wip_ttl)
local reply = redis.call('SMEMBERS', lanes_key)
table.insert(reply, 1, now_ms)
return reply
