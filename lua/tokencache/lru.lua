--- Values by key, in memory. Each may have a time to live, and their number a limit: the least
--- recently used goes first.

local core = require "tokencache._core"

local FEWEST_TO_SWEEP = 64

---@class tokencache.Lru
---@field private entries table<string, table>
---@field private count integer
---@field private limit number
---@field private sweep_at integer  the count at which what is over is looked for
---@field private ring table        closes the list of entries: its `newer` is the oldest of them
local Lru = {}
Lru.__index = Lru

local function is_over(entry)
  return entry.ends ~= nil and core.monotonic() >= entry.ends
end

local function unlink(entry)
  entry.older.newer, entry.newer.older = entry.newer, entry.older
end

local function link_as_newest(self, entry)
  local ring = self.ring
  entry.older, entry.newer = ring.older, ring
  ring.older.newer, ring.older = entry, entry
end

local function remove(self, entry)
  unlink(entry)
  self.entries[entry.key] = nil
  self.count = self.count - 1
end

--- A sweep comes only when there are twice as many as the last one left, so that an entry pays for
--- it once or twice in its life.
local function sweep(self)
  local entry = self.ring.newer
  while entry ~= self.ring do
    local newer = entry.newer
    if is_over(entry) then
      remove(self, entry)
    end
    entry = newer
  end
  self.sweep_at = math.max(FEWEST_TO_SWEEP, 2 * self.count)
end

---@param key string
---@return any  nil: there is none, or it is over
function Lru:get(key)
  local entry = self.entries[key]
  if not entry then
    return nil
  end
  if is_over(entry) then
    remove(self, entry)
    return nil
  end
  if entry.newer ~= self.ring then
    unlink(entry)
    link_as_newest(self, entry)
  end
  return entry.value
end

---@param key string
---@param value any
---@param ttl? number  seconds; nil: for good
function Lru:set(key, value, ttl)
  local entry = self.entries[key]
  if entry then
    unlink(entry)
  else
    entry = { key = key }
    self.entries[key] = entry
    self.count = self.count + 1
  end
  entry.value, entry.ends = value, ttl and core.monotonic() + ttl
  link_as_newest(self, entry)
  if self.count >= self.sweep_at then
    sweep(self)
  end
  if self.count > self.limit then
    remove(self, self.ring.newer)
  end
end

---@param key string
function Lru:delete(key)
  local entry = self.entries[key]
  if entry then
    remove(self, entry)
  end
end

---@param limit? integer  default: none
---@return tokencache.Lru
return function(limit)
  local ring = {}
  ring.older, ring.newer = ring, ring
  return setmetatable({
    entries = {}, count = 0, limit = limit or math.huge, sweep_at = FEWEST_TO_SWEEP, ring = ring,
  }, Lru)
end
