--- The rules of two tiers: a near one in front, such as memory, and behind it the one that counts.
---
--- The front holds only fresh tokens, and of those only such as the back held too. It is emptied
--- before the back changes, so that nothing stale is left in it whatever happens in between: a
--- failure, an error that is raised, a coroutine that is dropped. What a reader found in the back
--- goes in front only if the back has not changed since. A front that fails is warned of, no more.
---
--- An *entry* here is an object that stands for one entry in both tiers. Its `changes` counts the
--- changes to the back, their beginnings and their ends, as far as they were made through it.

local core = require "tokencache._core"
local errors = require "tokencache.error"
local log = require "tokencache.log"
local token_info = require "tokencache.token_info"

local tiers = {}

---@class tokencache.TierEntry
---@field back table       whose methods change or read it
---@field changes integer

--- How a kind of tiers goes about its front. No function raises or returns what went wrong: it
--- calls `tiers.warn`.
---@class tokencache.Front
---@field empty fun(entry: tokencache.TierEntry): boolean  false: something may be left there
---@field fill fun(entry: tokencache.TierEntry, value: any): boolean  false: it is not fresh, or the
---   front failed
---@field distrust fun(entry: tokencache.TierEntry, is_behind: boolean)  whether the front is to be
---   passed over from now on, as it may hold what the back no longer does

--- A front that is broken fails at every call: it is said at first and then at intervals. The
--- reason is part of the id, so that another reason is news.
---@param doing "emptied"|"filled"|"read"
---@param err any
function tiers.warn(doing, err)
  err = errors.wrap("cache", err or "it returned false")
  log.repeated("warning", errors.id("front: " .. doing, err), "the cache's front could not be ",
    doing, ": ", err)
end

--- Does the outcome of a method that can only succeed or fail; warns of a failure.
---@param doing "emptied"|"filled"
---@return boolean  true: it succeeded
function tiers.done(doing, ok, err)
  if errors.has_failed(ok, err) then
    tiers.warn(doing, err)
    return false
  end
  return true
end

--- Returns the seconds for which the front may serve a token from now on, below zero where it may
--- not. One that states no end is trusted for as long as the front keeps it.
---@param info tokencache.TokenInfo
---@param leeway number  seconds before its end
---@param now number     Unix seconds
---@return number
function tiers.seconds_left(info, leeway, now)
  local from, until_ = core.token_window(token_info.end_of(info), info.expires_in, leeway)
  return now < from and -1 or until_ - now
end

local function note_change(entry)
  entry.changes = entry.changes + 1
  return entry.changes
end

---@param front tokencache.Front
---@return table  the two ways to the back
function tiers.new(front)
  local rules = {}

  local function empty(entry)
    front.distrust(entry, not front.empty(entry))
  end

  --- With what the back held after so many changes. After one more it may hold something else.
  local function fill(entry, value, changes)
    local fits = value ~= nil and changes == entry.changes and front.fill(entry, value)
    if fits and changes == entry.changes then
      front.distrust(entry, false)
    else
      empty(entry)
    end
  end

  --- Calls a method of the back that reads, and puts in front what it found.
  ---@param entry tokencache.TierEntry
  ---@param method string
  ---@param ... any  its arguments
  ---@return any value  nil without an error: a miss
  ---@return any err
  ---@return any more   the method's third result
  function rules.read(entry, method, ...)
    local changes = entry.changes
    local back = entry.back
    local value, err, more = back[method](back, ...)
    if err ~= nil then
      return nil, err, more
    end
    fill(entry, value, changes)
    return value, nil, more
  end

  --- Calls a method of the back that changes what it holds. What it holds after a failure, or where
  --- another change went on at the same time, is not known: the front holds nothing then.
  ---@param entry tokencache.TierEntry
  ---@param value any  what the back holds if the method succeeds
  ---@param method string
  ---@param ... any    its arguments
  ---@return any result
  ---@return any err
  function rules.change(entry, value, method, ...)
    local changes = note_change(entry)
    empty(entry)
    local back = entry.back
    local result, err = back[method](back, ...)
    local is_known = changes == entry.changes and not errors.has_failed(result, err)
    if not is_known then
      value = nil
    end
    fill(entry, value, note_change(entry))
    return result, err
  end

  return rules
end

return tiers
