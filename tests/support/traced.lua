--- Runs code under strace, which sees only the system calls on one file, its directory and its
--- first temporary file; it can make one of them fail, or kill the process before it happens.

local process = require "support.process"

local traced = {}

--- Appends `option` before each of the values.
local function add(command, option, values)
  for _, value in ipairs(values) do
    command[#command + 1] = option
    command[#command + 1] = value
  end
end

---@param path string
---@param code string    Lua, whose `...` are the path and `argument`
---@param argument string
---@param inject? string  as for strace's -e inject=
---@return integer status  exit status; 128 + 9 after SIGKILL
---@return string output
---@return string[] calls  lines of the log
function traced.run(path, code, argument, inject)
  local directory = process.temporary_directory()
  local log = directory .. "/log"
  local child = process.lua(code, path, argument)
  -- the shell keeps a kill's notice out of the tests' own output
  local command = { "sh", "-c", "\"$@\"; exit $?", "sh", "strace", "-qq", "-o", log }
  add(command, "-P", { path, path:match("^(.*)/"), path .. ".tokencache-tmp0" })
  add(command, "-e", inject and { "inject=" .. inject } or {})
  add(command, "-E", {
    "LD_PRELOAD=" .. (os.getenv("LD_PRELOAD") or ""),
    -- the leak checker cannot work in a traced process
    "ASAN_OPTIONS=" .. (os.getenv("ASAN_OPTIONS") or "") .. ":detect_leaks=0",
  })
  for _, word in ipairs(child) do
    command[#command + 1] = word
  end
  local status, output = process.run(command)
  local calls = {}
  for line in io.lines(log) do
    calls[#calls + 1] = line
  end
  process.remove_directory(directory)
  return status, output, calls
end

return traced
