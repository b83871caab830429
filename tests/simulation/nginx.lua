--- The dictionary by which the workers of a virtual nginx tell each other of debts and failures. Of
--- the code only account/shared.lua is told that it runs in nginx: io tables tell the rest.

local nginx = {}

for _, name in ipairs { "tokencache.log", "tokencache.token_info" } do
  require(name) -- what account/shared.lua needs stays in plain Lua
end
local settings = require "tokencache.nginx.settings"
local environment = require "tokencache.environment"
package.loaded["tokencache.environment"] = { nginx = true }
require "tokencache.account.shared"
package.loaded["tokencache.environment"] = environment

--- A process that is no worker finds nothing there, and cannot put anything there.
local function is_worker(world)
  return world.current and world.current.process.is_worker
end

--- Gives the workers of a world a dictionary; `settings` are the program's own.
---@param world table
---@param has_workers boolean
function nginx.set(world, has_workers)
  world.shared_entries, world.has_workers = {}, has_workers
  settings.owed = has_workers and {
    get = function(_, name)
      return is_worker(world) and world.shared_entries[name] or nil
    end,
    safe_set = function(_, name, text)
      if not is_worker(world) then
        return nil, "no worker of nginx"
      elseif world.random:chance(world.faults.full) then
        world.was_full, world.shared_entries[name] = true, nil -- nginx removes the old one first
        world:note("shared dictionary", "no memory")
        return nil, "no memory"
      end
      world.shared_entries[name] = text
      return true
    end,
    delete = function(_, name)
      if is_worker(world) then
        world.shared_entries[name] = nil
      end
    end,
    flush_expired = function()
      return 0
    end,
  } or nil
end

--- Whether the other workers of its nginx know, or should know, what a process owes or owed when it
--- died.
---@param refresh_token string
---@return boolean
function nginx.keeps(world, process, refresh_token)
  if not process.is_worker or world.was_full then
    return false
  end
  local has_others, is_owed = false, false
  for _, other in ipairs(world.processes) do
    has_others = has_others or other.is_worker and other ~= process and not other.is_dead
  end
  for _, state in pairs(process.io.process.states) do
    is_owed = is_owed or state.owed and state.owed.info.refresh_token == refresh_token
  end
  return has_others and is_owed
end

return nginx
