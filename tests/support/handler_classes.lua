--- A sound cache handler over a table, and what it may have beyond that: broken ones are made of
--- these.

local compare = require "tokencache.testing.compare"
local io = require "tokencache.io"

--- It yields wherever it can, as one inside nginx does.
local function yield()
  local thread, is_main = coroutine.running()
  if thread and not is_main then
    coroutine.yield()
  end
end

local Sound = {}
Sound.__index = Sound

function Sound:get_cached_token()
  yield()
  return compare.copy(self.rows[self.key])
end

function Sound:save_token_to_cache(token_info)
  yield()
  self.rows[self.key] = compare.copy(token_info)
end

function Sound:remove_cached_token()
  self.rows[self.key] = nil
end

--- What one has that has a lock.
local Locking = {}

local serial = 0

local function holder(self)
  local held = self.rows["lock " .. self.key]
  return held and io.monotonic() < held.ends and held or nil
end

local function hold(self, handle, ttl, why)
  self.rows["lock " .. self.key] =
    { serial = handle.serial, ends = io.monotonic() + ttl, why = why }
end

local function holds(self, handle)
  local held = holder(self)
  return held ~= nil and held.serial == handle.serial
end

function Locking:try_lock(ttl)
  local held = holder(self)
  if held then
    return false, held.why
  end
  serial = serial + 1
  local handle = { serial = serial }
  hold(self, handle, ttl)
  return handle
end

function Locking:extend_lock(handle, ttl, why)
  if not holds(self, handle) then
    return false
  end
  hold(self, handle, ttl, why)
  return true
end

function Locking:keep_lock(handle, ttl)
  return Locking.extend_lock(self, handle, ttl, "owed")
end

function Locking:unlock(handle)
  if holds(self, handle) then
    self.rows["lock " .. self.key] = nil
  end
end

--- What one has that knows what it read. The entry is the table that is kept, which every save
--- makes anew.
local Replacing = {}

function Replacing:get_cached_token()
  yield()
  local row = self.rows[self.key]
  return compare.copy(row), nil, row
end

--- Why nothing may be saved over `entry`; nil: it may.
local function refusal(self, entry, handle)
  local held, row = holder(self), self.rows[self.key]
  if row ~= entry then
    return row == nil and "gone" or "another"
  end
  return handle and held and held.serial ~= handle.serial and "locked" or nil
end

function Replacing:replace_cached_token(entry, token_info, _, handle)
  local problem = refusal(self, entry, handle)
  if problem then
    return false, problem == "gone" and problem or nil
  end
  self.rows[self.key] = compare.copy(token_info)
  return true
end

function Replacing:remove_cached_token(entry, handle)
  if entry == nil or not refusal(self, entry, handle) then
    self.rows[self.key] = nil
  end
end

function Replacing:can_save(entry, _, handle)
  if refusal(self, entry, handle) then
    return false
  end
  self.rows[self.key] = compare.copy(entry) -- as if it were padded
  return self.rows[self.key]
end

function Replacing:account_id()
  return "broken_handlers", self.key
end

--- What one has that has marks.
local Marking = {}

function Marking:get_mark()
  local mark = self.rows["mark " .. self.key]
  return mark and io.monotonic() < mark.ends and mark.text or nil
end

function Marking:set_mark(text, ttl)
  self.rows["mark " .. self.key] = text and { text = text, ends = io.monotonic() + ttl }
  return true
end

local storage = {}

--- What all of them use that have one lock or mark for all.
local THE_ONLY = { rows = storage, key = "the only one" }

local LOCKS = { "try_lock", "extend_lock", "keep_lock", "unlock" }
local MARKS = { "get_mark", "set_mark" }
local ENTRIES = { "replace_cached_token", "can_save", "account_id" }

local function has_any(methods, names)
  for _, name in ipairs(names) do
    if methods[name] then
      return true
    end
  end
  return false
end

--- The methods of a class as fields, so that some may be left out.
local function add(handler, class, names)
  for _, name in ipairs(names) do
    handler[name] = class[name]
  end
end

--- Makes what the suite takes out of what is different in a broken handler. The tests of locks and
--- marks take a second, so a handler has those only where they are what is broken.
local function maker(methods, change)
  local has_entries = has_any(methods, ENTRIES)
  return function(name)
    local self = setmetatable({ rows = storage, key = name }, Sound)
    if has_any(methods, LOCKS) then
      add(self, Locking, LOCKS)
    end
    if has_any(methods, MARKS) then
      add(self, Marking, MARKS)
    end
    if has_entries then
      add(self, Replacing, ENTRIES)
      self.get_cached_token = Replacing.get_cached_token
      self.remove_cached_token = Replacing.remove_cached_token
    end
    for method, fn in pairs(methods) do
      self[method] = fn
    end
    return change and change(self) or self
  end
end

return {
  Sound = Sound,
  Locking = Locking,
  Replacing = Replacing,
  Marking = Marking,
  THE_ONLY = THE_ONLY,
  holds = holds,
  maker = maker,
}
