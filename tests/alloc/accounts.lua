-- Many logins over one store, while allocations fail: a provider that is found by its issuer,
-- renewals, a debt, a refused token, a log out.

-- luacheck: globals with_memory

local judge = dofile("tests/alloc/judge.lua")
local check = judge.check

local entries = {}
local failing = false

--- A store that keeps what it has, whatever fails.
local store = {
  get = function(_, key) return entries[key] end,
  set = function(_, key, bytes)
    if failing then
      return nil, "the disk is full"
    end
    entries[key] = bytes
    return true
  end,
  delete = function(_, key)
    entries[key] = nil
    return true
  end,
  keys = function(_, prefix)
    local keys = {}
    for key in pairs(entries) do
      if key:sub(1, #prefix) == prefix and not key:find("^tokencache%-") then
        keys[#keys + 1] = key
      end
    end
    return keys
  end,
}

local now, serial = 1760000000, 0
local revoked = 0

local METADATA = [[{"issuer":"https://127.0.0.1","token_endpoint":"https://127.0.0.1/token",
  "authorization_endpoint":"https://127.0.0.1/authorize","grant_types_supported":[
  "authorization_code"],"revocation_endpoint":"https://127.0.0.1/revoke"}]]

local transport = {}
function transport:request(request) -- luacheck: ignore 212
  if request.method == "GET" then
    return { status = 200, headers = {}, body = METADATA }
  elseif request.url:find("/revoke", 1, true) then
    revoked = revoked + 1
    return { status = 200, headers = {}, body = "" }
  end
  serial = serial + 1
  return { status = 200, headers = {}, body = ('{"access_token":"access-%d","token_type":"Bearer",'
    .. '"expires_in":3600,"refresh_token":"refresh-%d"}'):format(serial, serial) }
end

local function new_flow(tokencache, process)
  return tokencache.flow.authorization_code {
    provider = { issuer = "https://127.0.0.1" }, io = { process = process },
    client_id = "client", client_secret = "secret-3b1c", redirect_uri = "https://app.example/",
    authorize = false, http = transport, store = store, clock = function() return now end,
  }
end

--- What other scenarios show already is not counted: to load modules, to make a flow.
local function prepare()
  local tokencache = require "tokencache"
  tokencache.set_logger(false)
  for _, name in ipairs { "driver", "json", "account.log_out", "cache.from_store", "discovery",
    "_crypto", "key", "store.page", "util.lru" } do
    require("tokencache." .. name)
  end
  failing = false
  now = now + 86400
  serial = serial + 1
  entries = { anna = ('{"access_token":"old-%d","refresh_token":"given-%d","expires_at":5,'
    .. '"scope":null}'):format(serial, serial) }
  local process = require("tokencache.account.process").new()
  return new_flow(tokencache, process), new_flow(tokencache, process)
end

local function use()
  local flow, another = with_memory(prepare)
  local token = check(flow:account("anna"):get_access_token())
  judge.expect(token, flow:account("anna"):get_access_token())
  now = now + 60
  failing = true
  local other = check(flow:account("anna"):get_access_token { refused = token })
  failing = false
  judge.expect(other, another:account("anna"):get_access_token())
  local count = 0
  for _ in flow:accounts() do
    count = count + 1
  end
  judge.expect(1, count)
  local before = revoked
  judge.expect(true, flow:account("anna"):log_out())
  judge.expect(before + 2, revoked)
  judge.expect(nil, entries.anna)
end

dofile "tests/alloc/luajit.lua"

local function verify()
  use()
end

return use, verify
