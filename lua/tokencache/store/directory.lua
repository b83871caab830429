--- What is wrong with a directory in which nothing is to be found: one that is gone, or is not
--- mounted yet, must not cost anybody a login.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"
local errors = require "tokencache.error"

local file = blocking.worker "file"

local directories = {}

---@param directory string
---@return tokencache.Error?
function directories.failure(directory)
  local _, err = file.read(directory .. "/.") -- fails, but not where there is nothing
  if not err then
    return errors.new("cache", core.printable(directory) .. ": the directory does not exist; "
      .. "create it, or mount what it is on", { code = "ENOENT" })
  end
end

--- Turns "something else is there" into a failure where the directory is gone: it may come back
--- with the entry in it.
---@param directory string
function directories.unless_away(directory, result, err)
  local away = result == false and directories.failure(directory)
  if away then
    return nil, away
  end
  return result, err
end

return directories
