--- Who has made an account's token, and for whom: noted beside it, for settings are edited by hand
--- too. A token of other settings would go to where it does not belong.

local config = require "tokencache.command.config"
local core = require "tokencache._core"
local say = require "tokencache.command.say"

local owner = {}

local NOTE = "owner"

local FIELDS = { "provider", "issuer", "tenant", "host", "realm", "domain", "server", "client_id",
  "grant" }

--- A line for each setting that is there.
---@return string
---@return string[] lines  by the place in FIELDS
local function text_of(settings)
  local lines, provider = {}, settings.provider
  local is_table = type(provider) == "table"
  for i, field in ipairs(FIELDS) do
    local value = settings[field]
    if is_table then
      value = field == "provider" and (provider.token_url or "") or value or provider[field]
    end
    lines[i] = value ~= nil and field .. "=" .. tostring(value):gsub("%c", " ") .. "\n" or ""
  end
  return table.concat(lines), lines
end

--- Reports whether a token that is in a file is known to be of these settings.
---@param name string
---@param settings table
---@return boolean
function owner.is_of_file(name, settings)
  return core.file.read(config.token_path(NOTE .. ":" .. name)) == text_of(settings)
end

--- The first setting that is another one than that of the account's token, if there is a token.
---@param name string
---@param settings table
---@param former? table  settings that count where none are noted
---@return string? field
---@return string? noted
function owner.difference(name, settings, former)
  local storage = require "tokencache.command.storage"
  local noted = storage.beside(name, NOTE)
  local text, lines = text_of(settings)
  local before = "\n" .. (noted or text_of(former or settings))
  for i, line in ipairs(before ~= "\n" .. text and storage.has_token(name) and lines or {}) do
    if (before:match("\n(" .. FIELDS[i] .. "=[^\n]*\n)") or "") ~= line then
      return FIELDS[i], noted
    end
  end
  return nil, noted
end

--- Ends the command where somebody's token is of other settings.
---@param name string
---@param settings table
---@param former? table  as above
---@return string? noted
function owner.check(name, settings, former)
  local field, noted = owner.difference(name, settings, former)
  if field and (noted or ""):find "\ngrant=" and not former then
    require "tokencache.command.storage".forget_token(name) -- a program gets another one
  elseif field then
    say.fail(former and "usage" or "config", name .. ": its token is of another " .. field,
      "tokencache logout " .. name)
  end
  return noted
end

--- The same; notes the settings, of which a token will be.
---@param name string
---@param settings table
function owner.take(name, settings)
  local noted, text = owner.check(name, settings), text_of(settings)
  if noted ~= text then
    pcall(require "tokencache.command.storage".keep_beside, name, NOTE, text)
  end
end

return owner
