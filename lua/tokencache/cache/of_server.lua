--- What the constructors of handlers for a server have in common: the handler is for a server that
--- is named by options, or over a client object of the program's own.

local client_store = require "tokencache.store.client"
local from_store = require "tokencache.cache.from_store"
local keys = require "tokencache.key"
local options = require "tokencache.util.options"
local reserved_key = require "tokencache.store.reserved_key"

local KEY_RULES = {
  key = { { "string", "table" }, default = "token_info" },
  ttl = { "number>0" },
}
local CLIENT_RULES = options.merge(KEY_RULES, { client = { "object", required = true } })

---@class tokencache.ServerKind
---@field options tokencache.ServerOptions  what names a server
---@field new_store fun(checked: table): tokencache.Store
---@field put function     sets an entry by a client; see tokencache.store.client
---@field remover string   the name of a client's method that deletes a key
---@field client_key? fun(key: string): string  where a client is given the key in another form

---@param where string  the constructor's name, for messages
---@param kind tokencache.ServerKind
---@return fun(opts?: table): tokencache.StoreHandler
return function(where, kind)
  local server_rules = options.merge(KEY_RULES, kind.options.RULES)

  local function server_store(checked)
    checked.key, checked.ttl = nil, nil
    return kind.new_store((kind.options.complete(where, checked)))
  end

  return function(opts)
    local has_client = type(opts) == "table" and opts.client ~= nil
    local checked = options.check(where, opts, has_client and CLIENT_RULES or server_rules)
    local key, opts_of_key = keys.check(where, checked.key), checked.ttl and { ttl = checked.ttl }
    if not has_client then
      return from_store(server_store(checked), key, opts_of_key)
    end
    local store = client_store(where, checked.client, kind.put, kind.remover)
    if kind.client_key then
      key = kind.client_key(key)
      function store.mark_key(_, at)
        return kind.client_key(reserved_key.of_mark(at))
      end
    end
    local handler = from_store(store, key, opts_of_key)
    handler.in_request = true -- in nginx such a client is of no use to a timer
    return handler
  end
end
