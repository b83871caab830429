--- Python and Lua write the same session at the same time. Both write whole sessions, but ours only
--- over what was read: nothing of Python's is ever lost, but in files. What Python has read before
--- one of our saves, and writes after it, undoes that: documented, and counted here.

local assert = require "luassert"
local core = require "tokencache._core"
local python_sessions = require "support.python_sessions"

local TIMES = 1000

--- Calls while the clock stands by which a save gives up that finds the session changed again and
--- again for two seconds.
local function without_time(fn)
  local monotonic = core.monotonic
  core.monotonic = function() return 0 end
  local ok, problem = pcall(fn)
  core.monotonic = monotonic
  if not ok then
    error(problem, 0)
  end
end

--- Both count to a thousand in one session, which neither ever finds torn or gone.
---@param python table  of support.python_sessions
---@param open fun(opts: table): tokencache.Session?, tokencache.Error?
---@param settings table  the application's
---@param opts table
---@param in_files? boolean
---@return integer  how often ours was undone
return function(python, open, settings, opts, in_files)
  local first = python:ask { app = settings, values = { ours = 0, theirs = 0 } }
  local cookie = first.set_cookie:match "^[^;]*"
  opts.cookie, opts.secret_key = python_sessions.value(cookie), settings.SECRET_KEY
  local answer = python:begin { app = settings, cookie = cookie, count = "theirs", times = TIMES }
  local written, undone = 0, 0
  without_time(function()
    for _ = 1, TIMES do
      local session = assert(open(opts))
      if session.ours ~= written then
        assert.is_true(session.ours < written)
        undone = undone + written - session.ours
      end
      session.ours = session.ours + 1
      assert(session:save())
      written = session.ours
    end
  end)
  answer()
  local last = assert(open(opts))
  undone = undone + written - last.ours
  assert.equal(TIMES, last.ours + undone)
  assert.is_true(last.theirs == TIMES or in_files and last.theirs < TIMES, last.theirs)
  return undone
end
