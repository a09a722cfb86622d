-- Redis's clock: `seconds`, `now_ms`, the same as text, `now` (a number costs a call more than its text),
-- and `stamp`, the time as RQ writes it; `stamp_of_ms` writes another.
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now_ms = seconds * 1000 + math.floor(tonumber(time[2]) / 1000)
local now = now_ms .. ''
local function civil(s)
  -- days to year, month, day (Howard Hinnant's civil_from_days)
  local z = math.floor(s / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end
local function stamp_of(s, us)
  local year, month, day = civil(s)
  local rest = s % 86400
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, us)
end
local stamp = stamp_of(seconds, tonumber(time[2]))
local function stamp_of_ms(ms) -- digits; mostly of this very second
  local whole, thousandths = string.sub(ms, 1, -4), string.sub(ms, -3)
  if whole == time[1] then return string.sub(stamp, 1, 20) .. thousandths .. '000Z' end
  return stamp_of(tonumber(whole), tonumber(thousandths) * 1000)
end
