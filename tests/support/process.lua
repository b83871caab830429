--- Child processes and temporary directories for the specs.
---
---     local child = process.start({ "node", "server.mjs" }, { ready = true })
---     child.ready      -- what the child wrote to the file named by $READY_FILE
---     child:stop()     -- SIGTERM, and back once it is gone
---
---     local code, output = process.run({ "openssl", "version" })
---     local code, output = process.run(process.lua("print(...)", "an argument"))
---     process.behind({ "prlimit", "--nofile=24" }, command)   -- likewise process.unprivileged
---
--- A child never outlives the tests, however they end: the shell between the two holds a pipe
--- from here and kills the child when the pipe closes.

local core = require "tokencache._core"
local merged = require "support.merged"

local process = {}

local PATIENCE = 60 -- a bound for what never comes; a busy machine takes long to start a server

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

--- A shell line that becomes the command. A sanitizer preloaded here is not meant for node and
--- its like, and slows env down: it goes only where the environment names it.
local function exec_line(command, options)
  local line = { "unset LD_PRELOAD && exec env" }
  for name, value in pairs(options.environment or {}) do
    line[#line + 1] = quote(name .. "=" .. value)
  end
  for name, value in pairs(command.environment or {}) do
    line[#line + 1] = quote(name .. "=" .. value)
  end
  for _, word in ipairs(command) do
    line[#line + 1] = quote(word)
  end
  line = table.concat(line, " ")
  if options.directory then
    line = "cd " .. quote(options.directory) .. " && " .. line
  end
  return line
end

---@param path string
---@return string?
function process.read_file(path)
  local file = io.open(path, "rb")
  local content = file and file:read("*a")
  if file then file:close() end
  return content
end

---@param path string
---@param content string
function process.write_file(path, content)
  local file = assert(io.open(path, "wb"))
  assert(file:write(content))
  assert(file:close())
end

--- Polls until `condition` returns something true, and returns it; raises when it never does.
---@param what string  for the message: "the server to answer"
---@param condition fun(): any
---@param seconds? number
function process.wait_until(what, condition, seconds)
  local deadline = core.monotonic() + (seconds or PATIENCE)
  while true do
    local result = condition()
    if result then
      return result
    end
    if core.monotonic() > deadline then
      error("waited in vain for " .. what, 2)
    end
    core.sleep(0.01)
  end
end

--- Stops a process until it gets SIGCONT. `kill` is back before all of the process's threads have
--- come to a halt, so a server may still answer; this is not.
---@param pid integer
function process.freeze(pid)
  assert(process.run { "kill", "-STOP", pid } == 0)
  process.wait_until("process " .. pid .. " to stop", function()
    local code, states = process.run { "sh", "-c", ("cat /proc/%d/task/*/stat"):format(pid) }
    return code == 0 and not states:find "%) [^T] "
  end)
end

--- Runs a command to its end.
---@param command string[]
---@param options? { environment?: table<string, string>, directory?: string }
---@return integer code  the exit status; 128 + n after signal n
---@return string output  stdout and stderr
function process.run(command, options)
  local line = exec_line(command, options or {})
  local pipe = assert(io.popen("(" .. line .. ") 2>&1 </dev/null; echo \" $?\"", "r"))
  local output = pipe:read("*a")
  pipe:close()
  local text, code = output:match("^(.*) (%d+)\n$")
  return tonumber(code), text
end

--- The command that runs `code` in this same Lua, with the same modules to be found.
---@param code string
---@param ... string  the script's arguments, its `...`
---@return string[]
function process.lua(code, ...)
  local pipe = assert(io.popen("readlink /proc/$PPID/exe", "r"))
  local interpreter = pipe:read("*l")
  pipe:close()
  local arguments = { ... }
  for i, argument in ipairs(arguments) do
    arguments[i] = ("%q"):format(argument)
  end
  local script = ("package.path, package.cpath = %q, %q\nassert((loadstring or load)(%q))(%s)")
    :format(package.path, package.cpath, code, table.concat(arguments, ", "))
  return { interpreter, "-e", script, environment = { LD_PRELOAD = os.getenv("LD_PRELOAD") } }
end

--- That command behind a wrapper, for which a preloaded sanitizer is not meant.
---@param wrapper string[]
---@param command string[]  of process.lua
---@return string[]
function process.behind(wrapper, command)
  local words = {}
  for i, word in ipairs(wrapper) do
    words[i] = word
  end
  words[#words + 1] = "env"
  for name, value in pairs(command.environment) do
    words[#words + 1] = name .. "=" .. value
  end
  for _, word in ipairs(command) do
    words[#words + 1] = word
  end
  return words
end

---@return boolean
function process.is_root()
  local _, uid = process.run({ "id", "-u" })
  return uid == "0\n"
end

--- Root without its privileges is bound by permissions and still finds what it owns.
---@param command string[]  of process.lua
---@return string[]
function process.unprivileged(command)
  return process.behind(process.is_root()
    and { "setpriv", "--inh-caps=-all", "--bounding-set=-all" } or {}, command)
end

--- As another user, for which the tests must be root's.
---@param command string[]  of process.lua
---@param uid? integer      default: 65534, nobody; the group has the same number
---@return string[]
function process.as_user(command, uid)
  uid = uid or 65534
  return process.behind({ "setpriv", "--reuid=" .. uid, "--regid=" .. uid, "--clear-groups" },
    command)
end

---@param pid integer|string
---@return boolean
function process.is_alive(pid)
  local state = (process.read_file("/proc/" .. pid .. "/stat") or ""):match("%) (%a)")
  return state ~= nil and state ~= "Z" and state ~= "X"
end

---@param parent? string  where to make it, if that can be done
---@return string path
function process.temporary_directory(parent)
  local code, output = process.run({ "mktemp", "-d", parent and "-p", parent })
  if code ~= 0 and parent then
    return process.temporary_directory()
  end
  assert(code == 0, output)
  return (output:gsub("\n$", ""))
end

---@param path string
function process.remove_directory(path)
  local code, output = process.run({ "rm", "-rf", path })
  assert(code == 0, output)
end

---@class Child
---@field pid integer
---@field ready? string  what it wrote to $READY_FILE, without the newline at the end
local Child = {}
Child.__index = Child

--- Starts a command in the background.
---@param command string[]
---@param options? { ready?: boolean, environment?: table<string, string>, directory?: string }
---   ready: wait until the command has written a line or more to the file named by $READY_FILE
---@return Child
function process.start(command, options)
  options = options or {}
  local directory = process.temporary_directory()
  local environment = merged({ READY_FILE = directory .. "/ready" }, options.environment)
  local line = exec_line(command, { environment = environment, directory = options.directory })
  -- "gone" comes from stop(); a pipe that just closes means that this process ended
  local guard = ("unset LD_PRELOAD; d=%s; ( %s ) >$d/log 2>&1 </dev/null & echo $! >$d/pid; "
    .. "read -r gone || { kill -KILL $! 2>$d/log; rm -rf $d; }"):format(quote(directory), line)
  local self = setmetatable({ directory = directory, pipe = io.popen(guard, "w") }, Child)
  self.pid = process.wait_until("a process id", function()
    return tonumber(((process.read_file(directory .. "/pid") or ""):match("^(%d+)\n")))
  end)
  if options.ready then
    self.ready = process.wait_until(command[1] .. " to be ready", function()
      if not self:is_running() then
        local output = self:output()
        self:stop()
        error(command[1] .. " ended before it was ready:\n" .. output, 0)
      end
      return (process.read_file(environment.READY_FILE) or ""):match("^(.+)\n$")
    end)
  end
  return self
end

---@return boolean
function Child:is_running()
  return self.pipe ~= nil and process.is_alive(self.pid)
end

---@param name string  "KILL"
function Child:signal(name)
  if self:is_running() then
    os.execute("kill -" .. name .. " " .. self.pid)
  end
end

--- Stops it until it gets "CONT".
function Child:freeze()
  process.freeze(self.pid)
end

--- What it has printed so far.
---@return string
function Child:output()
  return process.read_file(self.directory .. "/log") or ""
end

--- Waits until the child has ended by itself.
---@param seconds? number
function Child:wait(seconds)
  process.wait_until("process " .. self.pid .. " to end", function()
    return not self:is_running()
  end, seconds)
end

--- Ends the child and waits until it is gone; the second call does nothing.
function Child:stop()
  if not self.pipe then
    return
  end
  self:signal("TERM")
  if not pcall(self.wait, self, 5) then
    self:signal("KILL")
    self:wait()
  end
  self.pipe:write("gone\n")
  self.pipe:close()
  self.pipe = nil
  process.remove_directory(self.directory)
end

return process
