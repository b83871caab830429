--- The options that say which memcached servers are meant.

local library = require "tokencache.util.library"
local server_options = require "tokencache.store.server_options"

---@class tokencache.MemcachedOptions
---@field servers? string[]  "host:port", "[IPv6 address]:port" or the path of a socket; default:
---   what `options` name, or else "127.0.0.1:11211". The same list everywhere: it tells to which
---   server a key belongs
---@field options? string    libmemcached's own, such as '--BINARY-PROTOCOL --NAMESPACE="app:"'
---@field flags? integer   of all that is written, below 2^32; clients of Python's tell by them what
---   an entry is: 1 is a pickle
---@field connect_timeout? number  seconds; default 5
---@field timeout? number          seconds for a command and its reply; default 5

local RULES = {
  servers = { "table" },
  options = { "string" },
  flags = { "number>=0" },
}

local DEFAULT_SERVER = "127.0.0.1:11211"

--- A copy, which no change outside reaches.
local function copy_of(servers)
  local copy, count = {}, 0
  for i, server in ipairs(servers) do
    copy[i] = type(server) == "string" and not server:find("%z") and server or nil
  end
  for _ in pairs(servers) do
    count = count + 1
  end
  return #copy == count and count > 0 and copy or nil
end

--- What libmemcached says about them. Where it is not installed the first call tells so.
local function check_with_library(checked)
  local memcached = library("tokencache._memcached", "libmemcached")
  if not memcached then
    return nil
  end
  local client, err = memcached.open(checked.servers, checked.options, checked.timeout,
    checked.connect_timeout, checked.flags)
  if not client then
    return tostring(err)
  end
  client:close()
end

--- Tells clients apart, which only options that are the same in all may share.
local function identity_of(checked)
  return table.concat({ checked.options or "", checked.flags or 0, checked.timeout,
    checked.connect_timeout, table.concat(checked.servers, "\0") }, "\0\0")
end

--- Completes the options; returns what is wrong with them.
local function complete(checked)
  if checked.options and checked.options:find("%z") then
    return "options holds a NUL byte"
  elseif checked.flags and (checked.flags % 1 ~= 0 or checked.flags >= 2 ^ 32) then
    return "flags must be a whole number below 2^32"
  end
  local named = checked.options and checked.options:upper():find("%-%-SERVER=")
  if checked.servers then
    checked.servers = copy_of(checked.servers)
    if not checked.servers then
      return "servers must be a list of strings that is not empty"
    end
  else
    checked.servers = named and {} or { DEFAULT_SERVER }
  end
  checked.place = checked.servers[1] and table.concat(checked.servers, ", ") or "memcached"
  checked.identity = identity_of(checked)
  return check_with_library(checked)
end

return server_options(RULES, complete)
