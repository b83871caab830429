--- Fronts before the virtual store, by store.tiered: one that the workers of the nginx share, or
--- one that a process has for itself. What is done there takes no time.

local tokencache = require "tokencache"

local front = {}

--- What a front keeps, and who has put it there.
---@class simulation.FrontEntry
---@field bytes string
---@field ends number
---@field process simulation.Process
---@field looked_at number  when that process had last read the store behind

---@return table store
function front.new(world)
  local entries = {}
  local store = {}
  function store.get(_, key)
    local entry = entries[key]
    if not entry or entry.ends <= world.now then
      return nil
    end
    world.current.from_front = entry
    return entry.bytes
  end
  function store.set(_, key, bytes, ttl)
    if world.random:chance(world.faults.full) then
      world:note("front", key, "no memory")
      return nil, "no memory"
    end
    local task = world.current
    entries[key] = { bytes = bytes, ends = ttl and world.now + ttl or math.huge,
      process = task.process, looked_at = task.looked_at or 0 }
    if world.history then
      world:note("  front", key, world.store.shown(bytes))
    end
    return true
  end
  function store.delete(_, key)
    entries[key] = nil
    return true
  end
  return store
end

--- The store of a process: that of all, or its front before that.
function front.store_of(process)
  local world = process.world
  local back = world.store.object
  if not world.has_fronts or world.random_more:chance(0.2) then
    return back
  end
  process.front = process.is_worker and world.shared_front or front.new(world)
  if process.is_worker then
    world.shared_front = process.front
  end
  return tokencache.store.tiered { front = process.front, back = back, clock = process.io.now }
end

--- Whether what came out of a front may be of a login that was logged out meanwhile: by a process
--- that does not share the front, or just after another had read the store behind it.
---@param entry simulation.FrontEntry
---@param family table  of the login
---@return boolean
function front.may_be_behind(entry, family)
  local other = family.logged_out_by
  return entry.process ~= other
    and (entry.process.front ~= other.front or entry.looked_at <= family.logged_out_at)
end

return front
