--- Stands for lua-resty-session 4, which Debian does not have: a session is a table of values in
--- memory until it is saved, which writes all of it as JSON, by lua-cjson, and makes a new id.
---
---     local session = resty_session.open(storage, "cookie name")   -- storage: a table of yours
---     session.failure = "connection refused"                       -- of the next saves

local cjson = require "cjson"

local resty_session = {}

local Session = {}
Session.__index = Session

---@param storage table<string, any>
---@param name string
function resty_session.open(storage, name)
  local self = setmetatable({ storage = storage, name = name, data = {}, state = "new", saves = 0 },
    Session)
  local text = storage[storage[name]]
  if text then
    self.data, self.state = cjson.decode(text), "open"
  end
  return self
end

function Session:get(key)
  assert(self.state ~= "closed", "unable to get session data value on closed session")
  return self.data[key]
end

function Session:set(key, value)
  assert(self.state ~= "closed", "unable to set session data value on closed session")
  self.data[key] = value
end

function Session:save()
  assert(self.state ~= "closed", "unable to save closed session")
  self.saves = self.saves + 1
  if self.yields then
    coroutine.yield("saving")
  end
  if self.failure then
    return nil, "unable to store session data (" .. self.failure .. ")"
  end
  local text = cjson.encode(self.data)
  local old = self.storage[self.name]
  if old then
    self.storage[old] = nil
  end
  self.storage.serial = (self.storage.serial or 0) + 1
  local id = self.name .. " " .. self.storage.serial
  self.storage[id], self.storage[self.name], self.state = text, id, "open"
  return true
end

function Session:close()
  self.state = "closed"
end

return resty_session
