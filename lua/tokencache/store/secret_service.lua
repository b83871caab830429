--- A store in the keyring of a person's desktop session: the Secret Service of D-Bus, as
--- gnome-keyring, KWallet and KeePassXC offer it. Each call makes a connection of its own.
---
--- A keyring knows neither locks nor compare-and-set. So the locks are those of files, on one file
--- in $XDG_RUNTIME_DIR, which ends with the session as the bus does and is this user's alone; and
--- what is compared and then written is so under the lock.

local can_save = require "tokencache.store.can_save"
local check_bytes = require "tokencache.store.check_bytes"
local core = require "tokencache._core"
local environment = require "tokencache.environment"
local errors = require "tokencache.error"
local file = require "tokencache.worker.file"
local file_lock = require "tokencache.store.file_lock"
local file_name = require "tokencache.store.file_name"
local key_names = require "tokencache.key"
local library = require "tokencache.util.library"
local options = require "tokencache.util.options"
local reserved_key = require "tokencache.store.reserved_key"

local WHERE = "store.secret_service"
local PATIENCE = 120 -- seconds for a person to unlock the keyring

--- Before a key that D-Bus takes for no text: its bytes follow, escaped.
local ESCAPED = "%:"

---@class tokencache.SecretServiceStore: tokencache.Store
---@field identity string
---@field private place table     plain data, for tokencache._secret_service
---@field private lock_directory? string
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return "tokencache." .. WHERE .. ": " .. self.place.application
  end,
}

local function attribute_of(key)
  if core.printable(key) == key and key:sub(1, #ESCAPED) ~= ESCAPED then
    return key
  end
  return ESCAPED .. key_names.escape(key, "[^ -$&-~]")
end

local function key_of(attribute)
  if attribute:sub(1, #ESCAPED) ~= ESCAPED then
    return attribute
  end
  return (attribute:sub(#ESCAPED + 1):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- Calls a function of the library's.
local function call(self, name, ...)
  local secret_service, err = library("tokencache._secret_service", "libsecret",
    "build tokencache anew where libsecret-1-dev is installed")
  if not secret_service then
    return nil, err
  end
  return secret_service[name](self.place, ...)
end

--- The same for the item of a key.
local function on_item(self, name, key, ...)
  local attribute = attribute_of(key)
  return call(self, name, attribute, self.place.application .. ": " .. attribute, ...)
end

function Store:get(key)
  return call(self, "get", attribute_of(key))
end

--- An entry stays until it is replaced or deleted: items of a keyring do not end by themselves.
function Store:set(key, bytes)
  check_bytes(WHERE, bytes)
  return on_item(self, "put", key, bytes)
end

function Store:delete(key)
  return on_item(self, "put", key, nil)
end

---@return string? path     of what the lock of file_lock stands for
---@return tokencache.FileUse|tokencache.Error use
local function lock_of(self, name)
  local directory = self.lock_directory or os.getenv "XDG_RUNTIME_DIR"
  if not directory or directory == "" then
    return nil, errors.new("cache", WHERE .. ": there is no place for locks, as XDG_RUNTIME_DIR is "
      .. "not set; set it to a directory of this user's alone, or give lock_directory")
  end
  local part = file_name.start_of(self.place.application) .. ":" .. file_name.start_of(name)
  return directory .. "/" .. part, { directory = directory }
end

--- Ends with the process that holds it, or with the guard, and not by a time to live.
function Store:try_lock(name)
  local path, use = lock_of(self, name)
  if not path then
    return nil, use -- an error
  end
  return file_lock.try(path, use)
end

Store.keep_lock, Store.unlock = file_lock.keep, file_lock.unlock

local function replace(_, _, self, key, old, bytes)
  return on_item(self, "replace", key, old, bytes)
end

--- The item is read again, then written: who knows no lock may write it between the two.
function Store:replace(key, old, bytes, _, handle)
  check_bytes(WHERE, bytes, "replace", old)
  local path, use = lock_of(self, key)
  if handle and not path then
    return nil, use -- an error
  end
  return file.under_lock(path, use, handle, replace, self, key, old, bytes)
end

Store.can_save = can_save

--- All in one page.
function Store:keys(prefix)
  local all, err = call(self, "keys")
  if not all then
    return nil, err
  end
  local keys, listed = {}, {}
  for attribute in all:gmatch "(%Z*)%z" do
    local key = key_of(attribute)
    if key:sub(1, #prefix) == prefix and not listed[key] and not reserved_key.is_reserved(key) then
      keys[#keys + 1], listed[key] = key, true
    end
  end
  return keys
end

local RULES = {
  application = { "string", default = "tokencache" },
  collection = { "string", default = "default" },
  timeout = { "number>0", default = 5 },
  unlock = { "boolean", default = false },
  lock_directory = { "string" },
}

---@class tokencache.SecretServiceOptions
---@field application? string  what the items are known by, beside their keys; default "tokencache"
---@field collection? string   the keyring that new items are put into: "default", the default;
---   "session", which is forgotten with the session; or another alias
---@field timeout? number      seconds for a call; default 5
---@field unlock? boolean      a locked keyring may ask its user for the password, and is waited for
---@field lock_directory? string  of this user's alone; default $XDG_RUNTIME_DIR

---@param opts? tokencache.SecretServiceOptions
---@return tokencache.SecretServiceStore
return function(opts)
  if environment.nginx then
    error(WHERE .. ": a keyring belongs to a person's session, and to ask it blocks; in nginx, "
      .. "keep tokens in Redis, files or a shared dictionary", 2)
  end
  local checked = options.check(WHERE, opts, RULES)
  for _, name in ipairs { "application", "collection" } do
    if checked[name] == "" or core.printable(checked[name]) ~= checked[name] then
      error(WHERE .. ": " .. name .. " must be printable text that is not empty", 2)
    end
  end
  return setmetatable({
    place = {
      application = checked.application,
      collection = checked.collection,
      timeout = checked.timeout,
      patience = checked.unlock and PATIENCE or 0,
    },
    lock_directory = checked.lock_directory,
    identity = "secret_service:" .. checked.application,
  }, metatable)
end
