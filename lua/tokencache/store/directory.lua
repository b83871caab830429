--- What is wrong with a directory in which nothing is to be found: one that is gone, or is not
--- mounted yet, must not cost anybody a login.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"
local errors = require "tokencache.error"

local file = blocking.worker "file"

---@param directory string
---@return tokencache.Error?
return function(directory)
  local _, err = file.read(directory .. "/.") -- fails, but not where there is nothing
  if not err then
    return errors.new("cache", core.printable(directory) .. ": the directory does not exist; "
      .. "create it, or mount what it is on", { code = "ENOENT" })
  end
end
