--- Takes the rules out of the code, one at a time, to show that the simulator finds it: a line of a
--- module is replaced while it is loaded. The product has no switch for that.

local without = {}

---@class simulation.Removal
---@field rule string
---@field module string
---@field from string  text that the module has exactly once
---@field to string

---@type simulation.Removal[]
without.rules = {
  {
    rule = "the lock is taken before the request",
    module = "tokencache.cache.from_store",
    from = "local function try_lock(self, ttl)\n",
    to = "local function try_lock(self)\n  local ttl = 10\n"
      .. "  if self then return { name = self.key, serial = 0 } end\n",
  }, {
    rule = "the entry is read again under the lock",
    module = "tokencache.driver.actions",
    from = "function actions.load(run, is_dead)\n",
    to = "function actions.load(run, is_dead)\n  if run.lock.handle and run.infos.cache then\n"
      .. '    return "ok", token_info.flat(run.infos.cache)\n  end\n',
  }, {
    rule = "a token is owed until it is saved",
    module = "tokencache.driver.actions",
    from = "local settled = payment.attempt(run.state, owed, run.lock, not run.logged_in)\n",
    to = "local settled = payment.attempt(run.state, owed, run.lock, not run.logged_in)\n"
      .. "  debt.clear(run.state)\n",
  }, {
    rule = "who owes keeps the lock",
    module = "tokencache.account.debt_payment",
    from = "function payment.return_lock(state, held)\n",
    to = "function payment.return_lock(state, held)\n  if held and held.handle then\n"
      .. "    return held:release()\n  end\n",
  }, {
    rule = "who waits for the lock of a debt in vain is told so",
    module = "tokencache.account.debt",
    from = 'run.busy == "owed" or ',
    to = "",
  }, {
    rule = "a renewal is saved only over what was read",
    module = "tokencache.account.debt_payment",
    from = "if handler.replace_cached_token and not is_unread then",
    to = "if false then",
  }, {
    rule = "the store shows that it can save before the request",
    module = "tokencache.driver.actions",
    from = "elseif not handler.can_save then",
    to = "else",
  }, {
    rule = "spent tokens are remembered",
    module = "tokencache.account.spent",
    from = "function spent.note(state, old, info, since)\n",
    to = "function spent.note(state, old, info, since)\n  if state then return end\n",
  }, {
    rule = "dead tokens are remembered",
    module = "tokencache.account.spent",
    from = "function spent.note_dead(state, refresh_token)\n",
    to = "function spent.note_dead(state, refresh_token)\n  if state then return end\n",
  }, {
    rule = "a log out leaves a mark",
    module = "tokencache.account.log_out",
    from = "if not handler.set_mark then",
    to = "if handler then",
  }, {
    rule = "a login that is not removed here is not revoked",
    module = "tokencache.account.log_out",
    from = "  local removed, err = end_here(out, held)\n",
    to = "  if out.revokes and out.before then\n    out.ended = out.before\n    end_there(out)\n"
      .. "  end\n  local removed, err = end_here(out, held)\n",
  }, {
    rule = "the workers of an nginx tell each other what they owe",
    module = "tokencache.account.shared",
    from = "function shared.put_debt(owed)\n",
    to = "function shared.put_debt(owed)\n  if owed then return end\n",
  }, {
    rule = "who waited for a failure takes it",
    module = "tokencache.account.failures",
    from = "function failures.since(account, state, since)\n",
    to = "function failures.since(account, state, since)\n  if account then return end\n",
  }, {
    rule = "the refused token is compared under the lock",
    module = "tokencache.driver",
    from = "forced = options.forced,",
    to = "forced = options.forced or options.refused ~= nil,",
  }, {
    rule = "what is sent is finished without its client",
    module = "tokencache.account.detached",
    from = "if not is_possible(account) then",
    to = "if not is_possible(account) or account then",
  }, {
    rule = "the lock is extended while the request is under way",
    module = "tokencache.lock",
    from = "  function request.heartbeat()\n",
    to = "  function request.heartbeat()\n    if request then return end\n",
  }, {
    rule = "before the request it is certain that the lock is still held",
    module = "tokencache.driver.actions",
    from = "if run.lock:cover(transport, request) and origin then",
    to = "if run.lock:cover(transport, request) and origin and not run then",
  }, {
    rule = "a front is emptied where the store behind it changes",
    module = "tokencache.store.tiered",
    from = 'return tiers.done("emptied", entry.store.front:delete(entry.key))',
    to = "return true",
  }, {
    rule = "nothing is kept fresh that nobody asks for",
    module = "tokencache.flow.keep_fresh",
    from = "or account.used == nil then",
    to = "then",
  }, {
    rule = "no more are kept fresh at a time than is said",
    module = "tokencache.flow.keep_fresh",
    from = "self.running >= self.opts.at_once or ",
    to = "",
  },
}

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

--- The module's text without the rule.
local function changed(removal)
  local path = "lua/" .. removal.module:gsub("%.", "/")
  local text = read(path .. ".lua") or read(path .. "/init.lua")
  local from, to = text:find(removal.from, 1, true)
  if not from or text:find(removal.from, to + 1, true) then
    error(removal.module .. " has changed; say in tests/simulation/without.lua how to take out: "
      .. removal.rule)
  end
  return text:sub(1, from - 1) .. removal.to .. text:sub(to + 1)
end

local preloaded

local function forget_modules()
  if preloaded then
    package.preload[preloaded] = nil
  end
  for name in pairs(package.loaded) do
    local is_in_c = name:find("^tokencache%._")
    if name:find("^simulation%.") or name:find("^tokencache") and not is_in_c then
      package.loaded[name] = nil
    end
  end
end

--- The schedules' runner over code that lacks a rule.
---@param removal simulation.Removal
---@return fun(seed: integer, history?: string[]): string?
function without.load(removal)
  local load_text = loadstring or load -- luacheck: ignore 113
  forget_modules()
  local text = changed(removal)
  preloaded = removal.module
  package.preload[preloaded] = function(...)
    return assert(load_text(text, "=" .. removal.module .. " without a rule"))(...)
  end
  local schedule = require "simulation.schedule"
  require("tokencache.log").set_logger(false)
  return schedule
end

--- How many schedules it takes until the lack is noticed.
---@param removal simulation.Removal
---@param seed integer  of the first
---@param most integer
---@return integer? count  nil: it was not noticed
---@return string? violation  or why the rule could not be taken out
function without.count(removal, seed, most)
  local ok, schedule = pcall(without.load, removal)
  if not ok then
    return nil, tostring(schedule)
  end
  for i = 0, most - 1 do
    local violation = schedule(seed + i)
    if violation then
      return i + 1, violation
    end
  end
  return nil, ("not noticed in %d schedules"):format(most)
end

return without
