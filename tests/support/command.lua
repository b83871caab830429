--- The command `tokencache`, run as a user with a home of its own.
---
---     local command = commands.new { LANG = "C.UTF-8" }     -- its environment
---     local status, out, err = command:run { "token", "work" }
---     command:run({ "token", "work", "--refused" }, { input = "old\n", environment = {} })
---     local child = command:start({ "login", "work" }, { BROWSER = "..." })
---     local child = command:start_in_terminal { "login", "work" }
---     child:type("text\n")
---     local command, server = commands.logged_in()        -- to "work", at a provider of its own
---     command.home, command.accounts, command.tokens      -- directories
---     command:log_in(server, "work")
---     command:token("work")          -- what is kept of the login
---     command:leave("work", 3000)    -- seconds that its token lasts
---     command:install()              -- for others: `tokencache` in the directory command.bin
---     command.is_unprivileged = true -- permissions bind it, also where the tests are root's
---     command:remove()

local json = require "tokencache.json"
local merged = require "support.merged"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local unpack = table.unpack or unpack -- luacheck: ignore 113 143

local commands = {}

---@class SupportCommand
---@field home string
---@field server? OidcProvider
local Command = {}
Command.__index = Command

--- A path for modules, to be used in other directories.
local function absolute(path)
  return (path:gsub("[^;]+", function(template)
    return template:find "^/" and template or os.getenv "PWD" .. "/" .. template
  end))
end

---@param environment? table<string, string>
---@return SupportCommand
function commands.new(environment)
  local home = process.temporary_directory()
  local lua = process.lua ""
  return setmetatable({
    home = home, accounts = home .. "/.config/tokencache/accounts",
    tokens = home .. "/.local/state/tokencache", lua = lua[1],
    environment = merged(lua.environment, {
      HOME = home, LUA_PATH = absolute(package.path), LUA_CPATH = absolute(package.cpath),
      XDG_CONFIG_HOME = "", XDG_STATE_HOME = "", XDG_RUNTIME_DIR = home, LUA_INIT = "",
      DISPLAY = "", WAYLAND_DISPLAY = "",
    }, environment),
  }, Command)
end

--- The words that run it.
---@param words string[]
---@return string[]
function Command:words(words)
  local all = { self.lua, os.getenv "PWD" .. "/bin/tokencache" }
  if self.is_unprivileged and process.is_root() then
    all = { "setpriv", "--inh-caps=-all", "--bounding-set=-all", unpack(all) }
  end
  for _, word in ipairs(words) do
    all[#all + 1] = word
  end
  return all
end

--- Runs it to its end. `after` stands behind it in a line of the shell.
---@param words string[]
---@param opts? { input?: string, environment?: table, after?: string, directory?: string }
---@return integer status
---@return string out
---@return string err
function Command:run(words, opts)
  opts = opts or {}
  local errors, input = self.home .. "/stderr", "/dev/null"
  if opts.input then
    input = self.home .. "/stdin"
    process.write_file(input, opts.input)
  end
  local all = self:words(words)
  table.insert(all, 1, "sh")
  table.insert(all, 2, "-c")
  table.insert(all, 3, ('"$0" "$@" 2>%s <%s %s'):format(errors, input, opts.after or ""))
  local status, out = process.run(all,
    { environment = merged(self.environment, opts.environment), directory = opts.directory })
  return status, out, process.read_file(errors)
end

--- The same; it must go well and say nothing.
---@return string out  without the last line end
function Command:ask(...)
  local status, out, err = self:run(...)
  if status ~= 0 or err ~= "" then
    error(("status %d: %s%s"):format(status, out, err), 2)
  end
  return (out:gsub("\n$", ""))
end

---@return Child
function Command:start(words, environment)
  return process.start(self:words(words), { environment = merged(self.environment, environment) })
end

--- At a terminal, with `type` for what a person types there.
---@return Child
function Command:start_in_terminal(words, environment)
  local quoted = {}
  for i, word in ipairs(self:words(words)) do
    quoted[i] = "'" .. word .. "'"
  end
  local keyboard = self.home .. "/keyboard"
  assert(process.run { "mkfifo", "-m", "600", keyboard } == 0)
  local child = process.start({ "sh", "-c",
    'exec script -qefc "$LINE" /dev/null <>"$KEYBOARD"' }, { environment = merged(self.environment,
    { LINE = table.concat(quoted, " "), KEYBOARD = keyboard, SHELL = "/bin/sh", LC_ALL = "C.UTF-8",
      TERM = "xterm" }, environment) })
  function child.type(_, text)
    process.write_file(keyboard, text)
  end
  return child
end

---@return tokencache.TokenInfo?
function Command:token(name)
  local text = process.read_file(self.tokens .. "/" .. name .. ".token")
  return text and assert(json.decode(text))
end

--- Has a login's token end in so many seconds.
---@return string token
function Command:leave(name, seconds)
  local info = self:token(name)
  info.expires_at = os.time() + seconds
  process.write_file(self.tokens .. "/" .. name .. ".token", json.encode(info))
  return info.access_token
end

function Command:expire(name)
  self:leave(name, -100)
end

--- Makes `bin`, a directory where it is called `tokencache`.
function Command:install()
  self.bin = self.home .. "/bin"
  assert(process.run { "mkdir", self.bin } == 0)
  local words = self:words {}
  process.write_file(self.bin .. "/tokencache", ('#!/bin/sh\nexec %s %s "$@"\n')
    :format(words[1], words[2]))
  assert(process.run { "chmod", "700", self.bin .. "/tokencache" } == 0)
end

--- Logs in by device, as alice, to an account that is made for it.
---@param server OidcProvider
---@param name string
---@param more? string[]  further words
function Command:log_in(server, name, more)
  local words = { "login", name, "--issuer", server.url, "--client-id", "public",
    "--scope", "openid read", "--device" }
  for _, word in ipairs(more or {}) do
    words[#words + 1] = word
  end
  local child = self:start(words)
  local address = process.wait_until("the code", function()
    return child:output():match "or open\n\n  (http%S+)\n"
  end)
  assert(server:login(address) == "Sign-in Success")
  child:wait()
  child:stop()
end

function Command:remove()
  if self.server then
    self.server:stop()
  end
  process.remove_directory(self.home)
end

--- With an account "work" that is logged in at a provider of its own, which ends with it.
---@return SupportCommand
---@return OidcProvider
function commands.logged_in()
  local command = commands.new()
  command.server = oidc_provider.start { device_interval = 0.1 }
  command:log_in(command.server, "work")
  return command, command.server
end

return commands
