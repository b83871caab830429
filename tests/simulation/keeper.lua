--- Flows that renew ahead of time what they are asked for, by keep_fresh.

local keeper = {}

--- Has the first flow of a process do that.
---@param process simulation.Process  with timers
---@param random table
function keeper.start(process, random)
  local opts = { margin = random:pick { 5, 60 }, jitter = random:pick { 0, 10 },
    at_once = random:integer(1, 2), running = 0, since = {} }
  process.keeps_fresh = opts
  process.world:spawn(process, "keeper", 0, function()
    process.flows[1]:keep_fresh { margin = opts.margin, jitter = opts.jitter,
      at_once = opts.at_once }
  end)
end

--- A refresh token is sent, for no call: only for what was asked for since the last time, and not
--- for too many accounts at once.
function keeper.check(world, request, account)
  local process, task = request.process, request.task
  local opts = process.keeps_fresh
  if not opts then
    return world:fail("a refresh token is sent for nobody")
  elseif task.renews ~= account and process.asked[account] < (opts.since[account] or 0) then
    world:fail("an account is kept fresh that nobody has asked for")
  end
  task.renews, opts.since[account], opts.running = account, task.began, opts.running + 1
  if opts.running > opts.at_once then
    world:fail("too many accounts are kept fresh at a time")
  end
end

--- Its request is over; where that has failed, it may try again.
function keeper.on_end(request, is_done)
  local opts, account = request.process.keeps_fresh, request.task.renews
  if opts and account and request.refresh then
    opts.running = opts.running - 1
    opts.since[account] = is_done and opts.since[account] or nil
  end
end

return keeper
