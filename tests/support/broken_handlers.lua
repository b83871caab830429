--- A sound cache handler, and one for each way to get it wrong, with the test of the contract suite
--- that must notice.

local broken_entries = require "support.broken_entries"
local broken_lists = require "support.broken_lists"
local classes = require "support.handler_classes"
local compare = require "tokencache.testing.compare"

local Sound, Locking, Replacing, Marking =
  classes.Sound, classes.Locking, classes.Replacing, classes.Marking
local THE_ONLY, holds, maker = classes.THE_ONLY, classes.holds, classes.maker

--- A handler that stores something else than what it gets.
local function storing(change)
  return {
    save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, change(compare.copy(token_info)))
    end,
  }
end

local function changing_values(change)
  local function walk(value)
    if type(value) == "table" then
      for name, field in pairs(value) do
        value[name] = walk(field)
      end
      return value
    end
    return change(value)
  end
  return storing(walk)
end

local function on_miss(fn)
  return {
    get_cached_token = function(self)
      local token_info = Sound.get_cached_token(self)
      if token_info == nil then
        return fn()
      end
      return token_info
    end,
  }
end

local function changing_strings(change)
  return changing_values(function(value)
    return type(value) == "string" and change(value) or value
  end)
end

local KNOWN = { access_token = true, token_type = true, refresh_token = true, scope = true,
  expires_in = true, expires_at = true, authorized_at = true }

local ENDS =
  "ends a lock after its time to live, unless it is extended or has a guard, if it has one"
local EMPTY = "returns nil and no error while it is empty"
local REPLACES = "replaces the whole token at a save"

local broken = {
  ["forgets fields it does not know"] = {
    storing(function(token_info)
      for name in pairs(token_info) do
        token_info[name] = KNOWN[name] and token_info[name] or nil
      end
      return token_info
    end), "keeps fields it does not know" },
  ["forgets the login"] = {
    storing(function(token_info)
      token_info.authorized_at = nil
      return token_info
    end), "keeps a user's token with every known field" },
  ["needs a refresh token"] = {
    storing(function(token_info)
      return assert(token_info.refresh_token and token_info, "no refresh token")
    end), "keeps a token without refresh_token, expires_at and scope" },
  ["forgets nested tables"] = {
    storing(function(token_info)
      for name, value in pairs(token_info) do
        token_info[name] = type(value) ~= "table" and value or nil
      end
      return token_info
    end), "keeps nested fields" },
  ["drops what is not ASCII"] = {
    changing_strings(function(text) return (text:gsub("[\128-\255]", "?")) end), "keeps UTF-8" },
  ["drops control characters"] = {
    changing_strings(function(text) return (text:gsub("%c", "")) end),
    "keeps quotes, backslashes, newlines and control characters" },
  ["cuts at NUL"] = {
    changing_strings(function(text) return (text:gsub("%z.*", "")) end),
    "keeps quotes, backslashes, newlines and control characters" },
  ["cuts long strings"] = {
    changing_strings(function(text) return text:sub(1, 4096) end),
    "keeps an access token of 8 KiB" },
  ["rounds integers to 14 digits"] = {
    changing_values(function(value)
      return type(value) == "number" and tonumber(("%.14g"):format(value)) or value
    end), "keeps integers" },
  ["rounds floats to 14 digits"] = {
    changing_values(function(value)
      return type(value) == "number" and value % 1 ~= 0 and tonumber(("%.14g"):format(value))
        or value
    end), "keeps floats" },
  ["turns numbers into strings"] = {
    changing_values(function(value)
      return type(value) == "number" and tostring(value) or value
    end), "keeps integers" },

  ["merges instead of replacing"] = {
    { save_token_to_cache = function(self, token_info)
      local merged = Sound.get_cached_token(self) or {}
      for name, value in pairs(token_info) do
        merged[name] = value
      end
      Sound.save_token_to_cache(self, merged)
    end }, REPLACES },
  ["returns a stale token"] = {
    { get_cached_token = function(self)
      self.seen = self.seen or Sound.get_cached_token(self)
      return compare.copy(self.seen)
    end }, REPLACES },
  ["loses the token at a read"] = {
    { get_cached_token = function(self)
      local token_info = Sound.get_cached_token(self)
      self:remove_cached_token()
      return token_info
    end }, "returns the token again at every call" },
  ["changes the saved table"] = {
    { save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, token_info)
      token_info.saved_at = 1760000000
    end }, "leaves the table that is saved as it was" },
  ["gives the saved table a metatable"] = {
    { save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, token_info)
      setmetatable(token_info, {})
    end }, "leaves the table that is saved as it was" },

  ["raises on a miss"] = { on_miss(function() error("nothing there") end), EMPTY },
  ["returns false on a miss"] = { on_miss(function() return false end), EMPTY },
  ["returns an empty table on a miss"] = { on_miss(function() return {} end), EMPTY },
  ["returns an error on a miss"] = { on_miss(function() return nil, "nothing there" end), EMPTY },
  ["saves and says that it failed"] = {
    { save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, token_info)
      return false
    end }, "keeps a token without refresh_token, expires_at and scope" },
  ["saves and returns an error"] = {
    { save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, token_info)
      return nil, "failed"
    end }, "keeps a token without refresh_token, expires_at and scope" },
  ["cannot save"] = {
    { save_token_to_cache = function() end },
    "keeps a token without refresh_token, expires_at and scope" },

  ["uses one key for all"] = {
    {}, "keeps the tokens of two handlers apart",
    function(self) self.key = "the only key" end },
  ["raises in a coroutine"] = {
    { get_cached_token = function(self)
      local thread, is_main = coroutine.running()
      assert(is_main or not thread, "not in a coroutine")
      return Sound.get_cached_token(self)
    end }, "works inside a coroutine, also one that it yields from" },
  ["yields for ever"] = {
    { get_cached_token = function(self)
      local thread, is_main = coroutine.running()
      while thread and not is_main do
        coroutine.yield()
      end
      return Sound.get_cached_token(self)
    end }, "works inside a coroutine, also one that it yields from" },

  ["removes nothing"] = {
    { remove_cached_token = function() end }, "removes the token, if it has remove_cached_token" },
  ["cannot remove nothing"] = {
    { remove_cached_token = function(self)
      if self.rows[self.key] == nil then
        return nil, "nothing there"
      end
      Sound.remove_cached_token(self)
    end }, "removes the token, if it has remove_cached_token" },
  ["is dead after a removal"] = {
    { remove_cached_token = function(self)
      Sound.remove_cached_token(self)
      self.save_token_to_cache = function() end
    end }, "removes the token, if it has remove_cached_token" },

  ["locks twice"] = {
    { try_lock = function(self) return { name = "lock " .. self.key } end },
    "lets one hold the lock at a time, if it has one" },
  ["returns nil for a held lock"] = {
    { try_lock = function(self, ttl) return Locking.try_lock(self, ttl) or nil end },
    "lets one hold the lock at a time, if it has one" },
  ["never unlocks"] = {
    { unlock = function() end }, "lets one hold the lock at a time, if it has one" },
  ["never locks"] = {
    { try_lock = function() return false end }, "lets one hold the lock at a time, if it has one" },
  ["unlocks and says that it failed"] = {
    { unlock = function(self, handle)
      Locking.unlock(self, handle)
      return false
    end }, "lets one hold the lock at a time, if it has one" },
  ["hands out a function"] = {
    { try_lock = function(self, ttl)
      local handle = Locking.try_lock(self, ttl)
      return handle and function() return handle end
    end,
    unlock = function(self, handle) Locking.unlock(self, handle()) end },
    "gives a handle of plain data, if it has a lock" },
  ["hands out itself"] = {
    { try_lock = function(self, ttl)
      self.name = "lock " .. self.key
      return Locking.try_lock(self, ttl) and self
    end }, "gives a handle of plain data, if it has a lock" },
  ["has one lock for all"] = {
    { try_lock = function(_, ttl) return Locking.try_lock(THE_ONLY, ttl) end,
    extend_lock = function(_, handle, ttl) return Locking.extend_lock(THE_ONLY, handle, ttl) end,
    unlock = function(_, handle) Locking.unlock(THE_ONLY, handle) end },
    "keeps the locks of two handlers apart, if it has them" },
  ["cannot unlock"] = {
    { try_lock = Locking.try_lock }, "has both try_lock and unlock, or neither",
    function(self)
      return { get_cached_token = function() return self:get_cached_token() end,
        save_token_to_cache = function(_, token_info) self:save_token_to_cache(token_info) end,
        try_lock = function(_, ttl) return self:try_lock(ttl) end }
    end },
  ["releases the lock of another"] = {
    { unlock = function(self) self.rows["lock " .. self.key] = nil end },
    "leaves a lock alone that another has taken since, if it has one" },
  ["extends what has ended"] = {
    { extend_lock = function() return true end },
    "extends a lock while it is held, if it has extend_lock" },
  ["cannot extend"] = {
    { extend_lock = function() end }, "extends a lock while it is held, if it has extend_lock" },
  ["keeps it to itself that it owes"] = {
    { keep_lock = Locking.extend_lock },
    "tells the others that its holder owes a token, if it has keep_lock" },
  ["never ends a lock"] = {
    { try_lock = function(self) return Locking.try_lock(self, 3600) end }, ENDS },
  ["only says that it extends"] = {
    { extend_lock = function(self, handle) return holds(self, handle) end }, ENDS },
  ["has no save"] = {
    {}, "has the method save_token_to_cache",
    function(self) return { get_cached_token = self.get_cached_token } end },
  ["has no get"] = {
    {}, "has the method get_cached_token",
    function(self) return { save_token_to_cache = self.save_token_to_cache } end },
  ["is no handler"] = { {}, "has the method get_cached_token", function() return "a handler" end },

  ["keeps tokens to itself"] = {
    {}, "reads what another handler on the same storage saved",
    function(self) self.rows = {} end },
  ["does not look again"] = {
    { get_cached_token = function(self)
      self.seen = self.seen or Sound.get_cached_token(self)
      return compare.copy(self.seen)
    end,
    save_token_to_cache = function(self, token_info)
      Sound.save_token_to_cache(self, token_info)
      self.seen = compare.copy(token_info)
    end,
    remove_cached_token = function(self)
      Sound.remove_cached_token(self)
      self.seen = nil
    end }, "reads what another handler on the same storage saved" },
  ["keeps its lock to itself"] = {
    { try_lock = function(self, ttl)
      self.key = self.key .. " of " .. tostring(self)
      local handle = Locking.try_lock(self, ttl)
      self.key = self.key:match("^(.*) of ")
      return handle
    end }, "sees the lock of another handler on the same storage, if it has one" },
}

if math.type then -- luacheck: ignore 143
  broken["makes integers floats"] = {
    changing_values(function(value)
      return type(value) == "number" and value + 0.0 or value
    end), "keeps integers" }
end

for name, case in pairs(broken_entries) do
  broken[name] = case
end

local handlers = {}

handlers.sound = maker({ try_lock = Locking.try_lock, get_mark = Marking.get_mark,
  replace_cached_token = Replacing.replace_cached_token })

---@type table<string, { make: fun(name: string): any, noticed_by: string }>
handlers.broken = {}
for name, case in pairs(broken) do
  handlers.broken[name] = { make = maker(case[1], case[3]), noticed_by = case[2] }
end

for name, case in pairs(broken_lists.broken) do
  handlers.broken[name] = case
end

return handlers
