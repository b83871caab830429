--- A D-Bus session of the tests' own, with gnome-keyring in it, in a folder that is its home.
---
---     if not keyring.is_possible() then return pending(keyring.NEED) end
---     local keyring = keyring.start()      -- unlocked
---     keyring.environment                  -- for process.run and process.start
---     keyring:lock()    keyring:unlock()
---     keyring.daemon, keyring.bus          -- the two processes
---     keyring:stop()
---     keyring.enter()                      -- start, and this very process is in the session

local merged = require "support.merged"
local process = require "support.process"
local unix = require "support.unix"

local keyring = { NEED = "needs a user with a name, which dbus-daemon asks for" }

local PASSWORD = "a password of the tests' own"
local SECRETS = "org.freedesktop.secrets"

--- Nothing is started by it, unlike by the configuration that desktops have.
local CONFIGURATION = [[
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
]]

--- The length, 1 for "unlock", and the password behind its length; the answer must end in a zero.
local UNLOCK = [[
import socket, struct, sys
control, password = socket.socket(socket.AF_UNIX), sys.argv[2].encode()
control.connect(sys.argv[1])
control.sendall(b"\0" + struct.pack(">III", 12 + len(password), 1, len(password)) + password)
assert struct.unpack(">II", control.recv(8)) == (8, 0)
]]

--- gcr's own stand-in for the dialog, and for the person who takes a while to type.
local PERSON = [[
local ffi = require "ffi"
ffi.cdef "const char *gcr_mock_prompter_start(void); int poll(void *, unsigned long, int);"
ffi.cdef "void gcr_mock_prompter_set_delay_msec(unsigned delay);"
ffi.cdef "void gcr_mock_prompter_expect_password_ok(const char *password, const char *, ...);"
local gcr = ffi.load "libgcr-base-3.so.1"
local name = ffi.string(gcr.gcr_mock_prompter_start())
gcr.gcr_mock_prompter_set_delay_msec(tonumber(os.getenv "DELAY"))
for _ = 1, 2 do
  gcr.gcr_mock_prompter_expect_password_ok(os.getenv "PASSWORD", nil)
end
local ready = io.open(os.getenv "READY_FILE", "w")
ready:write(name, "\n")
ready:close()
ffi.C.poll(nil, 0, -1)
]]

---@return boolean
function keyring.is_possible()
  return process.run { "id", "-un" } == 0
end

---@class Keyring
---@field environment table<string, string>
---@field bus Child
---@field daemon? Child
local Keyring = {}
Keyring.__index = Keyring

--- Calls a method of the session's.
---@return boolean
---@return string answer
function Keyring:call(destination, path, method, ...)
  local code, answer = process.run({ "dbus-send", "--session", "--print-reply=literal",
    "--dest=" .. destination, path, method, ... }, { environment = self.environment })
  return code == 0, answer
end

local function has_owner(self)
  local _, answer = self:call("org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
    "string:" .. SECRETS)
  return answer:find "true" ~= nil
end

--- Starts gnome-keyring, unlocked.
function Keyring:start_daemon()
  self.daemon = process.start({ "sh", "-c", "exec gnome-keyring-daemon --foreground "
    .. "--components=secrets --unlock <" .. self.directory .. "/password" },
    { environment = self.environment })
  process.wait_until("gnome-keyring to be ready", function()
    return has_owner(self) or not self.daemon:is_running()
  end)
  assert(self.daemon:is_running(), self.daemon:output())
end

--- Before start_daemon: somebody who knows the password, when asked for it, twice at most.
---@param seconds number  that the answer takes
function Keyring:add_person(seconds)
  local environment = self.environment
  self.person = process.start({ "luajit", "-e", PERSON }, { ready = true, environment = merged(
    { PASSWORD = PASSWORD, DELAY = seconds * 1000 }, environment) })
  environment.GNOME_KEYRING_TEST_PROMPTER = self.person.ready
end

--- Kills gnome-keyring at once; `restart` brings it back, with what was in it.
function Keyring:kill()
  self.daemon:signal "KILL"
  self.daemon:wait()
  self.daemon:stop()
end

Keyring.restart = Keyring.start_daemon

--- As a lock of the screen may.
function Keyring:lock()
  assert(self:call(SECRETS, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock",
    "array:objpath:/org/freedesktop/secrets/aliases/default"))
end

--- As a login does by PAM: a message to the daemon's control socket.
function Keyring:unlock()
  local code, output = process.run({ "/usr/bin/python3", "-c", UNLOCK,
    self.directory .. "/keyring/control", PASSWORD })
  assert(code == 0, output)
end

--- A child that prints what is said on the bus from now on.
---@return Child
function Keyring:listen()
  self.monitor = process.start({ "dbus-monitor", "--session" }, { environment = self.environment })
  process.wait_until("the monitor", function() return self.monitor:output() ~= "" end)
  return self.monitor
end

--- What secret-tool prints.
---@param ... string  its arguments
---@return integer code
---@return string output
function Keyring:tool(...)
  return process.run({ "secret-tool", ... }, { environment = self.environment })
end

function Keyring:stop()
  for _, name in ipairs { "monitor", "person", "daemon", "bus" } do
    if self[name] then
      self[name]:signal "CONT"
      self[name]:stop()
    end
  end
  for name, value in pairs(self.before or {}) do
    unix.setenv(name, value or nil)
  end
  process.remove_directory(self.directory)
end

--- A session without a keyring, until start_daemon brings one. In memory, where there is such a
--- place: gnome-keyring makes each change durable.
---@return Keyring
function keyring.start_session()
  local self = setmetatable({ directory = process.temporary_directory "/dev/shm" }, Keyring)
  local socket = self.directory .. "/bus"
  self.environment = {
    HOME = self.directory, XDG_RUNTIME_DIR = self.directory, XDG_DATA_HOME = self.directory,
    DBUS_SESSION_BUS_ADDRESS = "unix:path=" .. socket,
  }
  process.write_file(self.directory .. "/password", PASSWORD)
  local configuration = self.directory .. "/bus.conf"
  process.write_file(configuration, CONFIGURATION:format(socket))
  self.bus = process.start { "dbus-daemon", "--nofork", "--config-file=" .. configuration }
  process.wait_until("the session's bus", function()
    return process.run { "test", "-S", socket } == 0 or not self.bus:is_running()
  end)
  assert(self.bus:is_running(), self.bus:output())
  return self
end

---@return Keyring
function keyring.start()
  local self = keyring.start_session()
  self:start_daemon()
  return self
end

---@param self? Keyring  default: a new one
---@return Keyring
function keyring.enter(self)
  self = self or keyring.start()
  self.before = {}
  for _, name in ipairs { "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS" } do
    self.before[name] = os.getenv(name) or false
    unix.setenv(name, self.environment[name])
  end
  return self
end

--- For who calls `start` of a server.
keyring.session = { start = function() return keyring.enter() end }

return keyring
