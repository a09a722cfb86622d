-- The fencing check: a lane record that is not the expected one means that the lease was lost
-- (the current record is returned, and the refusal counted unless the worker still holds the run), or
-- that this very call was applied before and only its reply was lost (2), or that the run was cancelled (3).
-- An open step's record is checked likewise: `run_key` is then the hash of the open steps, and `field` the
-- step's own hash.
local function refuse(run_key, ns, expected, next, field)
  local record = redis.call('HGET', run_key, field or 'lane')
  if record == expected then return nil end
  if record == next then return 2 end
  local ended = field and not record or string.sub(record or '', 1, 1) == 'e'
  local own_key = field and string.sub(run_key, 1, -6) or run_key
  if ended and redis.call('HGET', own_key, 'status') == 'cancelled' then return 3 end
  if field and not record then return '' end -- the step was given up
  local owner = '^%a|%d+|%d+|%d+|([^|]*)|'
  if string.match(record or '', owner) ~= string.match(expected, owner) then
    redis.call('HINCRBY', ns .. ':counters', 'fenced', 1)
  end
  return record or ''
end
