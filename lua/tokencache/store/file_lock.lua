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
---@return any guard  its collection ends the lock; or a tokencache.Error; "owed": it is kept for a
---                   token that could not be saved
function file_lock.try(path, use)
  local guard, handle = core.file.new_lock()
  local locked, more, is_here = file.try_lock(path, use, handle)
  if locked then
    return handle, guard
  end
  if is_here and core.collect_garbage() then
    return file_lock.try(path, use)
  end
  return locked, more
end

--- Methods of what has such locks.

function file_lock.keep(_, handle)
  return file.keep_lock(handle)
end

function file_lock.unlock(_, handle)
  return file.unlock(handle)
end

return file_lock
