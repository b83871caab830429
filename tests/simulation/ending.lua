--- Judges how a login is ended: by its removal here, and by its revocation at the provider.

local times = require "simulation.times"

local ending = {}

--- Only a log out removes a login that works. One whose caller was told that its time is over may
--- go on; but it is no word on a login that was begun after that. What was sent before then cannot
--- be called back.
function ending.on_removal(world, key)
  local token = world.provider.refresh[world.store:refresh_token_at(key)]
  local task = world.current
  local call = task.call
  if not token or not call then
    return
  elseif not world.store.kind.replace then
    if (token.put_at or 0) > (task.looked_at or 0) then
      world.truth:excuse(token.family, "another was removed in two steps, and it came in between")
    end
    return
  elseif not call.is_log_out and token.family.is_alive and token.id == token.family.newest then
    return world:fail("a login that works is removed, and nobody has logged out")
  end
  local begun = token.family.begun
  local is_left = call.ended and task.asked_store_at > call.ended
  if begun and call.is_log_out and is_left and begun > call.ended and not world.has_jumped
    and not times.has_twin(world.accounts[key], token.family) then
    world:fail("a log out removes a login that was begun after its caller was told the end")
  end
end

--- A login that cannot be removed still works: who logs out ends it here before the provider does.
--- Who has no lock may save it once more just when it is gone.
function ending.on_revocation(world, request)
  local call, token = request.task.call, world.provider.refresh[request.revoked]
  local is_there = token and world.store:refresh_token_at(token.family.account) == token.id
  local last_put = math.max(token and token.put_at or 0, world.truth.restored_at or 0)
  if is_there and call and last_put < call.started then
    world:fail("a login is revoked that is still in the store")
  end
end

return ending
