--- What a lock in Redis or memcached holds: its owner, and behind a colon, which no owner has, that
--- it is kept for a debt.

local lock_holder = { OWED = ":owed" }

---@param lock? string|false
---@return string? owner
function lock_holder.owner_of(lock)
  return lock and lock:match("^[^:]*") or nil
end

--- What try_lock returns where another holds the lock.
---@param lock? string|false  nil: nobody knows
---@return false, "owed"?
function lock_holder.busy(lock)
  return false, lock and lock:match(":(.*)") or nil
end

return lock_holder
