--- Points in time as programs write them: seconds or milliseconds since 1970, as a number or as
--- text, or a date of RFC 3339, with what is found in place of its "T" and "Z" too. One is read to
--- Unix seconds, and another is written in the form of the first.

local timestamp = {}

--- Whole numbers from here on are milliseconds: of 1973 and later; as seconds, of the year 5138.
local LEAST_MILLISECONDS, MOST_MILLISECONDS = 1e11, 1e14

local DATE = "^(%d%d%d%d)%-(%d%d)%-(%d%d)([Tt ])(%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$"

local floor = math.floor

--- Days since 1970 of a date of the Gregorian calendar. A year begins with March here, so that the
--- leap day is its last.
local function days_of(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400)
    + floor((153 * (month - 3) + 2) / 5) + day - 1 - 719468
end

--- The year, month and day of a day since 1970.
local function date_of(days)
  local year = floor((days + 719468) / 365.2425) + 1 -- at most two too many
  while days_of(year, 3, 1) > days do
    year = year - 1
  end
  local first = days_of(year, 3, 1)
  local month = floor((5 * (days - first) + 2) / 153)
  local day = days - first - floor((153 * month + 2) / 5) + 1
  month = month + 3
  if month > 12 then
    year, month = year + 1, month - 12
  end
  return year, month, day
end

--- Seconds by which clocks there are ahead. Python writes no zone for UTC.
local function offset_of(zone)
  if zone == "" or zone == "Z" or zone == "z" then
    return 0
  end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):?(%d%d)$")
  return sign and (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

local function read_date(text)
  local year, month, day, separator, hour, minute, second, fraction, zone = text:match(DATE)
  local offset = year and offset_of(zone)
  if not offset or fraction == "." then
    return nil
  end
  local seconds = days_of(tonumber(year), tonumber(month), tonumber(day)) * 86400 + hour * 3600
    + minute * 60 + second - offset
  return seconds, { separator = separator, fraction = fraction, zone = zone, offset = offset }
end

local function in_seconds(number)
  if number >= LEAST_MILLISECONDS and number < MOST_MILLISECONDS then
    return floor(number / 1000), true
  end
  return number, false
end

local function is_number(text)
  return text:find("^%-?%d+$") or text:find("^%-?%d+%.%d+$")
end

---@param value any
---@return number?  Unix seconds; nil: it cannot be read
---@return table? date  its form, where it is a date
---@return boolean? is_milliseconds
function timestamp.read(value)
  local kind = type(value)
  if kind == "string" and not is_number(value) then
    return read_date(value)
  end
  local number = (kind == "number" or kind == "string") and tonumber(value)
  if not number then
    return nil
  end
  local seconds, is_milliseconds = in_seconds(number)
  return seconds, nil, is_milliseconds
end

local function write_date(seconds, form)
  local here = floor(seconds) + form.offset
  local days, rest = floor(here / 86400), here % 86400
  local year, month, day = date_of(days)
  local fraction = form.fraction:gsub("%d", "0")
  return ("%04d-%02d-%02d%s%02d:%02d:%02d%s%s"):format(year, month, day, form.separator,
    floor(rest / 3600), floor(rest % 3600 / 60), rest % 60, fraction, form.zone)
end

---@param seconds number  Unix seconds
---@param model any       what stood there
---@return any            the same point in time, in the form of the model; nil: that has none
function timestamp.like(seconds, model)
  local read, date, is_milliseconds = timestamp.read(model)
  if not read then
    return nil
  elseif date then
    return write_date(seconds, date)
  elseif is_milliseconds then
    seconds = floor(seconds) * 1000
  end
  return type(model) == "string" and ("%.0f"):format(seconds) or seconds
end

return timestamp
