--- A session as the program has it: indexed and assigned to like the frameworks' own. What it holds
--- is nowhere in the object itself, so that no dump of it shows a token or a key.

local json = require "tokencache.json"

local object = {}

---@class tokencache.Session
---@field modified boolean  something was assigned; set it where a table inside was changed
---@field values table      all there is, by name
---@field set_cookie fun(self): string?, tokencache.Error?  the value of a header Set-Cookie; nil:
---   there is nothing to be sent
---@field save fun(self): true?, tokencache.Error?  writes a session that is kept on the server; one
---   in a cookie has nothing to be written

---@class tokencache.SessionState
---@field values table
---@field modified boolean
---@field changed? table<string, true>  what was assigned since it was read, of one on the server
---@field set_cookie fun(state): string?, tokencache.Error?
---@field refusal? fun(state): tokencache.Error?  of one in a cookie: why it has no room for a token
---@field save? fun(state): true?, tokencache.Error?
---@field store? fun(lock?: tokencache.Store): tokencache.Store  in which its token_info is an entry
---@field key? string                  of that entry

--- Where a session has its state: as a function that returns it, which no dump shows.
local STATE = {}

local function state_of(session)
  return rawget(session, STATE)()
end

local methods = {}

function methods:set_cookie()
  local state = state_of(self)
  return state.set_cookie(state)
end

function methods:save()
  local state = state_of(self)
  if state.save then
    return state.save(state)
  end
  return true
end

local metatable = {
  __name = "tokencache.session",
  __tostring = function()
    return "tokencache.session"
  end,
}

function metatable.__index(self, name)
  local state = state_of(self)
  if name == "modified" or name == "values" then
    return state[name]
  end
  local value = state.values[name]
  if methods[name] or value == json.null then
    return methods[name]
  end
  return value
end

function metatable.__newindex(self, name, value)
  local state = state_of(self)
  if name == "modified" then
    state.modified = value
  elseif methods[name] or name == "values" then
    error("session: " .. name .. " is a method or a field of every session; use session.values", 2)
  else
    state.values[name], state.modified = value, true
    if state.changed then
      state.changed[name] = true
    end
  end
end

---@param state tokencache.SessionState
---@return tokencache.Session
function object.new(state)
  return setmetatable({ [STATE] = function() return state end }, metatable)
end

--- The state of a session that was made here; nil for any other value.
---@param session any
---@return tokencache.SessionState?
function object.state(session)
  local is_one = type(session) == "table" and getmetatable(session) == metatable
  return is_one and state_of(session) or nil
end

return object
