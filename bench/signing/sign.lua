--- What a client signs: "assertion", the body of a request that it authenticates; "proof", of DPoP,
--- for a request to an API; or "exchanged", the cached token of somebody's, which needs none.

local client_authentication = require "tokencache.flow.client_authentication"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local dpop = require "tokencache.dpop"
local json = require "tokencache.json"
local tokencache = require "tokencache"

local URL = "https://login.example.com/token"

local options = { provider = { token_url = URL }, client_id = "bench",
  client_key = json.encode(assert(dpop.new_key())), http = { request = function()
    return { status = 200, body = '{"access_token":"' .. ("t"):rep(200) .. '","expires_in":86400}' }
  end } }

local works = {}

function works.assertion()
  options.cache = tokencache.cache.memory {}
  local flow = tokencache.flow.client_credentials(options)
  return function()
    assert(client_authentication.request(flow, URL, "grant_type=client_credentials", 10,
      core.monotonic() + 10, true))
  end
end

function works.proof()
  options.cache, options.dpop = tokencache.cache.memory {}, true
  local flow = tokencache.flow.client_credentials(options)
  assert(flow:get_access_token())
  return function()
    assert(flow:dpop_proof("GET", "https://api.example.com/things?page=2"))
  end
end

function works.exchanged()
  options.store = tokencache.store.memory {}
  local flow = tokencache.flow.token_exchange(options)
  local account = assert(flow:subject(core.base64url_encode(assert(crypto.random(400)))))
  assert(account:get_access_token())
  return function()
    assert(account:get_access_token())
  end
end

function works.account()
  options.store = tokencache.store.memory {}
  local account = tokencache.flow.client_credentials(options):account "bench"
  assert(account:get_access_token())
  return function()
    assert(account:get_access_token())
  end
end

local work = works[arg[1]]()

require "bench.contestant"(function(times)
  for _ = 1, times do
    work()
  end
end)
