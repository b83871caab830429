--- The lock of a file, so that one process, one coroutine at a time renews the token in it. The
--- system ends it with its process, the guard where nobody is left who could release it.

local blocking = require "tokencache.blocking"
local core = require "tokencache._core"

local file = blocking.worker "file"

local file_lock = {}

--- Without waiting.
---@param path string  of the file
---@param use tokencache.FileUse
---@return string|false|nil handle  false: another holds the lock
---@return any guard  its collection ends the lock; or a tokencache.Error
function file_lock.try(path, use)
  local guard, handle = core.file.new_lock()
  local locked, more = file.try_lock(path, use, handle)
  if locked then
    return handle, guard
  end
  if locked == false and more and core.collect_garbage() then
    return file_lock.try(path, use)
  end
  return locked, locked == nil and more or nil
end

return file_lock
