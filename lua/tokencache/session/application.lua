--- What the constructors for both frameworks have in common: their options, a session that is in
--- the cookie itself, and the header that brings a cookie to the browser.

local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local object = require "tokencache.session.object"
local options = require "tokencache.util.options"
local set_cookie = require "tokencache.session.set_cookie"
local signing = require "tokencache.session.signing"

local application = {}

local ROOM = 96 -- bytes that are to be left in a cookie before a token is asked for

---@class tokencache.Framework: tokencache.SigningFormat
---@field life fun(checked: table, values: table): number?, number?  when the cookie ends, in Unix
---   seconds, and in seconds from now; nil: with the browser

--- The values that a serializer makes of bytes.
---@param framework tokencache.Framework
---@return table?
---@return tokencache.Error?
function application.decode(framework, serializer, bytes)
  local values, problem = serializer.decode(bytes)
  if type(values) ~= "table" or values[1] ~= nil then
    return signing.fail(framework.where, "DAMAGED", "the session is no object"
      .. (problem and ": " .. problem or ""))
  end
  return values
end

---@param framework tokencache.Framework
---@return string?
---@return tokencache.Error?
function application.encode(framework, serializer, values)
  local bytes, problem = serializer.encode(values)
  if not bytes then
    return signing.fail(framework.where, "UNFIT", problem)
  end
  return bytes
end

--- The values that are in a signed text.
---@param framework tokencache.Framework
---@param checked table     options
---@param salt string
---@param serializer table
---@param text string
---@param max_age? number   seconds
---@return table?
---@return tokencache.Error?
function application.read(framework, checked, salt, serializer, text, max_age)
  local bytes, err = signing.open(framework, salt, checked.secrets, text, max_age, checked.clock())
  if not bytes then
    return nil, err
  end
  return application.decode(framework, serializer, bytes)
end

--- The signed text of values.
---@return string?
---@return tokencache.Error?
function application.write(framework, checked, salt, serializer, values)
  local bytes, err = application.encode(framework, serializer, values)
  if not bytes then
    return nil, err
  end
  return signing.write(framework, salt, checked.secrets, bytes, checked.clock())
end

--- The header Set-Cookie, where there is something to be sent.
---@param framework tokencache.Framework
---@param checked table
---@param state tokencache.SessionState
---@param write fun(state: tokencache.SessionState): string?, tokencache.Error?  the cookie's value
---@return string?
---@return tokencache.Error?
function application.set_cookie(framework, checked, state, write)
  if not state.modified then
    return nil
  elseif next(state.values) == nil then
    return set_cookie.write(framework.where, checked, "")
  end
  local value, err = write(state)
  if not value then
    return nil, err
  end
  return set_cookie.write(framework.where, checked, value, framework.life(checked, state.values))
end

--- The state of a session that is in the cookie itself.
local InCookie = {}
InCookie.__index = InCookie

local function value_of(state)
  return application.write(state.framework, state.checked, state.salt, state.serializer,
    state.values)
end

function InCookie:set_cookie()
  return application.set_cookie(self.framework, self.checked, self, value_of)
end

--- Why a token that is longer than the one at hand could not be kept any more.
---@return tokencache.Error?
function InCookie:refusal()
  local values, bytes = {}, crypto.random(ROOM)
  for name, value in pairs(self.values) do
    values[name] = value
  end
  values.room = bytes and core.base64url_encode(bytes) -- which cannot be compressed
  local _, err = InCookie.set_cookie(setmetatable({ values = values, modified = true },
    { __index = self }))
  return err
end

---@return tokencache.Session?
---@return tokencache.Error?
function application.in_cookie(framework, checked, salt, serializer)
  local values, err = {}, nil
  if checked.cookie then
    values, err = application.read(framework, checked, salt, serializer, checked.cookie,
      checked.max_age)
  end
  return values and object.new(setmetatable({ values = values, modified = false,
    framework = framework, checked = checked, salt = salt, serializer = serializer }, InCookie)),
    err
end

--- Makes a constructor.
---@param where string
---@param rules table<string, tokencache.OptionRule>
---@param problem_of fun(checked: table): string?
---@param open fun(checked: table): tokencache.Session?, tokencache.Error?
function application.constructor(where, rules, problem_of, open)
  return function(opts)
    local checked = options.check_given(where, opts, rules)
    local problem = problem_of(checked) or set_cookie.problem(checked)
    if problem then
      error(where .. ": " .. problem, 2)
    end
    checked.secrets = signing.secrets(where, checked.secret_key, 2)
    if checked.cookie == "" then
      checked.cookie = nil
    end
    return open(checked)
  end
end

return application
