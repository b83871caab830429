--- A store over another one, which never sees a token. An entry looks like this:
---
---     tokencache-sealed:1:<key id>:<secret's mark>:<key's mark>:<base64url>
---
--- All before the last colon, and the key, are bound in as associated data. The marks only tell
--- why an entry does not open. Blanks after the end are ignored: a store within pads an entry with
--- them, to find out whether it has room for a longer one.

local blank = require "tokencache.util.blank"
local check_bytes = require "tokencache.store.check_bytes"
local check_store = require "tokencache.store.check"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local errors = require "tokencache.error"
local extras = require "tokencache.util.extras"
local identity_of = require "tokencache.util.identity"
local key_names = require "tokencache.key"
local options = require "tokencache.util.options"
local read = require "tokencache.store.read"
local sealed = require "tokencache.sealed"

local PREFIX = "tokencache-sealed:"
local HEADER = PREFIX .. "1:%s:%s:%s:"
local ENTRY = "^(" .. PREFIX:gsub("%-", "%%-") .. "1:([A-Za-z0-9_-]+):([A-Za-z0-9_-]+):"
  .. "([A-Za-z0-9_-]+):)([A-Za-z0-9_-]+) *$"
local MARKS = ":([^:]+):([^:]+):$" -- of a header
local KEY_ID = "^[A-Za-z0-9_-]+$"
local LONGEST_KEY_ID = 64
local SECRET_MIN = 16 -- bytes
local MARK_SIZE = 6   -- bytes: enough to tell secrets apart, too few to learn anything of them

---@class tokencache.EncryptedStore: tokencache.Store
---@field private store tokencache.Store
---@field protect fun(self, key: string, bytes: string): string?, tokencache.Error?
---@field reveal fun(self, key: string, text: string): string?, tokencache.Error?
local Store = {}

local metatable = {
  __index = Store,
  __name = "tokencache.store",
  __tostring = function(self)
    return "tokencache.store.encrypted over " .. tostring(self.store)
  end,
}

local metatable_over = extras(metatable, {}, "store", { "delete", "try_lock", "extend_lock",
  "keep_lock", "unlock", "keys", "identity_key", "mark_key" })

local function mark(of, bytes)
  local digest, err = crypto.sha256("tokencache " .. of .. " " .. bytes)
  if not digest then
    return nil, err
  end
  return core.base64url_encode(digest:sub(1, MARK_SIZE))
end

local function failure(key, message)
  return nil, errors.new("cache", key_names.shown(key) .. ": " .. message)
end

local function is_sealed(entry)
  return entry:sub(1, #PREFIX) == PREFIX
end

--- The secrets are in here and nowhere else: a store that is printed, field by field, shows none.
local function methods(secrets, use, allows_plaintext)
  local function header_for(key, id)
    local of_secret, of_key, err
    of_secret, err = mark("secret", secrets[id])
    if of_secret then
      of_key, err = mark("key", key)
    end
    return of_key and HEADER:format(id, of_secret, of_key), err
  end

  local function seal(key, text)
    local header, err = header_for(key, use)
    local body
    if header then
      body, err = sealed.seal(secrets[use], header .. key, text)
    end
    return body and header .. body, err
  end

  local function explain(key, id, of_secret, of_key)
    local header, err = header_for(key, id)
    if not header then
      return nil, err
    end
    local own_secret, own_key = header:match(MARKS)
    if of_secret ~= own_secret then
      return failure(key, "the entry was sealed with another secret than the one given as key id "
        .. id .. "; give that one, or remove the entry")
    elseif of_key ~= own_key then
      return failure(key, "the entry belongs to another key and was moved here; remove it")
    end
    return failure(key, "the entry was altered since it was sealed; remove it")
  end

  local function open(key, entry)
    local header, id, of_secret, of_key, body = entry:match(ENTRY)
    if not header then
      return failure(key, "the sealed entry was altered; remove it")
    elseif not secrets[id] then
      return failure(key, "the entry was sealed with the key id " .. id:sub(1, LONGEST_KEY_ID)
        .. ", which is not among keys; add its secret, or remove the entry")
    end
    local text, err = sealed.open(secrets[id], header .. key, body)
    if not text and not err then
      return explain(key, id, of_secret, of_key)
    end
    return text, err
  end

  local function open_entry(key, entry)
    if is_sealed(entry) then
      return open(key, entry)
    elseif entry:find("^%s*{") then
      if allows_plaintext then
        return entry
      end
      return failure(key, "the entry is not sealed; remove it, or read such entries with "
        .. 'plaintext = "allow"')
    elseif blank(entry) then
      return entry
    end
    return failure(key, "the entry is neither sealed nor a token; mend or remove it")
  end

  --- What the entry says, and the entry as the store within has it.
  local function look(self, key, anew)
    local entry, err = read(self.store, key, anew)
    if type(entry) ~= "string" then
      return entry, err
    end
    local bytes
    bytes, err = open_entry(key, entry)
    return bytes, err, entry
  end

  local all = {}

  --- The third result is the entry as it is, where it does not open.
  function all.get(self, key, anew)
    local bytes, err, entry = look(self, key, anew)
    return bytes, err, err ~= nil and entry or nil
  end

  function all.set(self, key, bytes, ttl)
    check_bytes("store.encrypted", bytes)
    local entry, err = seal(key, bytes)
    if not entry then
      return nil, err
    end
    return self.store:set(key, entry, ttl)
  end

  --- Compares what the entry says with `old`, and has that very entry replaced or deleted. One that
  --- does not open is a failure: nobody can tell what it is. Only to delete it works.
  function all.replace(self, key, old, bytes, ttl, handle)
    check_bytes("store.encrypted", bytes, "replace", old)
    local there, err, entry = look(self, key, true)
    if err ~= nil and (bytes ~= nil or entry == nil or entry ~= old) then
      return nil, err
    elseif err == nil and there ~= old then
      return false
    end
    local new
    if bytes ~= nil then
      new, err = seal(key, bytes)
      if not new then
        return nil, err
      end
    end
    return self.store:replace(key, entry, new, ttl, handle)
  end

  --- The store within pads what it has, which for a sealed entry changes nothing of what it says.
  function all.can_save(self, key, bytes, ttl, handle)
    local there, err, entry = look(self, key, true)
    if err ~= nil then
      return nil, err
    elseif there ~= bytes then
      return false
    end
    local kept
    kept, err = self.store:can_save(key, entry, ttl, handle)
    if kept and is_sealed(kept) then
      return bytes
    end
    return kept, err
  end

  --- Seals an entry that is to be kept elsewhere for a while, as it would be sealed here.
  function all.protect(_, key, bytes)
    check_bytes("store.encrypted", bytes, "protect")
    return seal(key, bytes)
  end

  --- Opens what `protect` made, for the same key. Nothing but that.
  function all.reveal(_, key, text)
    return open(key, text)
  end

  return all
end

--- An id for messages. A long one may be a secret that was mistaken for an id, and is not shown.
local function shown(id)
  return #id < SECRET_MIN and id:find(KEY_ID) and ' "' .. id .. '"' or ""
end

local function check_keys(keys, use)
  local copy = {}
  for id, secret in pairs(keys) do
    if type(id) ~= "string" or not id:find(KEY_ID) or #id > LONGEST_KEY_ID then
      return nil, "keys: a table of secrets by id expected, whose ids must be strings of up to 64 "
        .. 'letters, digits, "-" and "_"'
    elseif type(secret) ~= "string" or #secret < SECRET_MIN then
      return nil, "keys: the secret of the id" .. shown(id) .. " must be a string of 16 bytes at "
        .. "least; take 32 random ones"
    end
    copy[id] = secret
  end
  if not copy[use] then
    return nil, "use: there is no id" .. shown(use) .. " in keys; give the id of one of the "
      .. "secrets there"
  end
  return copy
end

local RULES = {
  keys = { "table", required = true },
  use = { "string", required = true },
  plaintext = { { "string", "boolean" } },
}

---@class tokencache.EncryptionOptions
---@field keys table<string, string>  secrets of 16 bytes or more by id, the old ones too
---@field use string                  the id of the secret that seals new entries
---@field plaintext? "allow"          also read entries that are not sealed

--- What can be done only where the store within can do it, and needs the secrets.
local SEALING_EXTRAS = { "replace", "can_save" }

--- Seals what is kept in `store`. Keys, TTL, locks and identity are those of `store`.
---@param store tokencache.Store
---@param opts tokencache.EncryptionOptions
---@return tokencache.EncryptedStore
return function(store, opts)
  local problem = check_store(store)
  if problem then
    error("store.encrypted: " .. problem, 2)
  end
  local checked = options.check("store.encrypted", opts, RULES)
  if checked.plaintext and checked.plaintext ~= "allow" then
    error('store.encrypted: plaintext must be "allow", or left out', 2)
  end
  local secrets
  secrets, problem = check_keys(checked.keys, checked.use)
  if not secrets then
    error("store.encrypted: " .. problem, 2)
  end
  local self = methods(secrets, checked.use, checked.plaintext == "allow")
  for _, name in ipairs(SEALING_EXTRAS) do
    if store[name] == nil then
      self[name] = nil
    end
  end
  self.store, self.identity = store, identity_of(store)
  self.can_save_anew, self.may_be_stale = store.can_save_anew, store.may_be_stale
  return setmetatable(self, metatable_over(store))
end
