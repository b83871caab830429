--- Values by key, in memory. Each may have a time to live, and their number a limit: the least
--- recently used goes first.
---
--- The entries stand in two circles, both closed by the same ring: one in the order of their use,
--- and one in the order in which they were made, which no use changes. The second is for walking
--- through all of them while some come and go.

local core = require "tokencache._core"

local FEWEST_TO_SWEEP = 64

---@class tokencache.Lru
---@field private values table<string, any>      these and
---@field private ends table<string, number>     these stand apart from the entries, so that a look
---                                at one of very many touches little memory; monotonic seconds
---@field private entries table<string, table>
---@field private count integer
---@field private limit? integer   nil: no use of an entry need be remembered
---@field private sweep_at integer  the count at which what is over is looked for
---@field private ring table        its `newer` was used longest ago where there is a limit, its
---                                `later` was made first
---@field private serial integer    of the entry made last
local Lru = {}
Lru.__index = Lru

local function is_over(self, key)
  local ends = self.ends[key]
  return ends ~= nil and core.monotonic() >= ends
end

local function unlink(entry)
  entry.older.newer, entry.newer.older = entry.newer, entry.older
end

local function link_as_newest(self, entry)
  local ring = self.ring
  entry.older, entry.newer = ring.older, ring
  ring.older.newer, ring.older = entry, entry
end

--- What is removed still leads to what was made after it: a walk may stand there.
local function remove(self, entry)
  local key = entry.key
  unlink(entry)
  entry.earlier.later, entry.later.earlier = entry.later, entry.earlier
  self.entries[key], self.values[key], self.ends[key] = nil, nil, nil
  self.count = self.count - 1
  entry.key = nil
end

local function make(self, key)
  local ring = self.ring
  self.serial = self.serial + 1
  local entry = {
    key = key, serial = self.serial, older = nil, newer = nil, earlier = ring.earlier, later = ring,
  }
  ring.earlier.later, ring.earlier = entry, entry
  self.entries[key] = entry
  self.count = self.count + 1
  return entry
end

--- A sweep comes only when there are twice as many as the last one left, so that an entry pays for
--- it once or twice in its life.
local function sweep(self)
  local entry = self.ring.newer
  while entry ~= self.ring do
    local newer = entry.newer
    if is_over(self, entry.key) then
      remove(self, entry)
    end
    entry = newer
  end
  self.sweep_at = math.max(FEWEST_TO_SWEEP, 2 * self.count)
end

---@param key string
---@return any  nil: there is none, or it is over
function Lru:get(key)
  local value = self.values[key]
  if value == nil then
    return nil
  elseif is_over(self, key) then
    remove(self, self.entries[key])
    return nil
  end
  if self.limit then
    local entry = self.entries[key]
    unlink(entry)
    link_as_newest(self, entry)
  end
  return value
end

---@param key string
---@param value any    not nil
---@param ttl? number  seconds; nil: for good; a NaN is over at once
function Lru:set(key, value, ttl)
  local entry = self.entries[key]
  if entry then
    unlink(entry)
  else
    entry = make(self, key)
  end
  self.values[key], self.ends[key] = value, ttl and core.monotonic() + (ttl > 0 and ttl or 0)
  link_as_newest(self, entry)
  if self.count >= self.sweep_at then
    sweep(self)
  end
  if self.limit and self.count > self.limit then
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

---@class tokencache.LruCursor
---@field package entry table    the last one looked at; it may have been removed since
---@field package last integer   the serial of the newest entry when the walk began

--- Returns some of the keys, in the order in which they were made, and from where to go on. A walk
--- meets each key that is there from its beginning to its end, and none twice; what is made
--- meanwhile it leaves out. It does not count as a use of the entries.
---@param most integer  entries to look at; a page may hold fewer keys
---@param cursor? tokencache.LruCursor  nil: from the beginning
---@return string[]
---@return tokencache.LruCursor?  nil: that was all
function Lru:page(most, cursor)
  local last = cursor and cursor.last or self.serial
  local entry, keys = cursor and cursor.entry or self.ring, {}
  for _ = 1, most do
    local later = entry.later
    if later == self.ring or later.serial > last then
      return keys, nil
    end
    entry = later
    if entry.key ~= nil and not is_over(self, entry.key) then
      keys[#keys + 1] = entry.key
    end
  end
  return keys, { entry = entry, last = last }
end

---@param limit? integer  default: none
---@return tokencache.Lru
return function(limit)
  local ring = {}
  ring.older, ring.newer, ring.earlier, ring.later = ring, ring, ring, ring
  return setmetatable({
    values = {}, ends = {}, entries = {}, count = 0, limit = limit, sweep_at = FEWEST_TO_SWEEP,
    ring = ring, serial = 0,
  }, Lru)
end
