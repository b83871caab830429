--- What the options of the command line say of an account.

local accounts = require "tokencache.command.account"
local config = require "tokencache.command.config"
local say = require "tokencache.command.say"

---@param arguments table
---@return table<string, string> changes
---@return string? secret  of the client
return function(arguments)
  local changes = {}
  for _, field in ipairs(config.fields) do
    changes[field[1]] = arguments[field[1]]
  end
  if (changes.provider or "") ~= "" and (changes.issuer or "") ~= "" then
    say.fail("usage", "give --provider or --issuer, not both")
  end
  local path = arguments.client_secret_file
  return changes, path and accounts.read_secret(path) or nil
end
