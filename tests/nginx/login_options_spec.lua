-- The options of tokencache.nginx.login: each that is wrong raises and names itself.

local nginx = require "support.nginx"

local LIKE = "public_url must be like https://app.example.com, without a path"

--- Beside those that are needed.
local WRONG = {
  { 'public_url = false', "public_url must be a string" },
  { 'public_url = "app.example"', LIKE },
  { 'public_url = "127.0.0.1:80"', LIKE },
  { 'public_url = "ftp://app.example"', "public_url must be an https URL" },
  { 'public_url = "https://app.example/app"', LIKE },
  { 'path = "auth/"', "path must be like /auth/" },
  { 'path = "/auth"', "path must be like /auth/" },
  { 'path = "/"', "path must be like /auth/" },
  { 'path = "/a//b/"', "path must not have two slashes" },
  { 'provider = { token_url = "https://a.example/" }', "give issuer, or provider" },
  { 'issuer = "http://login.example"', "issuer" },
  { 'store = tokencache.cache.memory {}', "nginx.login: store is a cache handler" },
  { 'issuer = "http://keycloak:8080", client_id = ""', "nginx.login: client_id is required" },
  { 'provider = tokencache.provider.okta', "call this preset: tokencache.provider.okta { domain" },
  { 'store = { get = print }', "store has no method set" },
  { 'store = 5', "store must be" },
  { [[store = store.tiered { back = store.memory(), front = store.memory() }]],
    "store must not have a front of its own" },
  { 'cookie_secret = "short"', "cookie_secret must have at least 16 bytes" },
  { 'shared_dict = "missing"', "shared_dict: there is no lua_shared_dict missing" },
  { 'cookie = { name = "a b" }', "cookie name must be" },
  { 'cookie = { name = "a", domain = "a;b" }', "cookie domain must be" },
  { 'cookie = { remember = 30 }', "nginx.login: cookie: remember must be a boolean" },
  { 'page = "/denied.html"', "page must be a function" },
  { 'cookie = { path = "/" }', "nginx.login: cookie: unknown option path" },
  { 'idle_timeout = 0', "idle_timeout must be a number above zero" },
  { 'lifetime = "1h"', "lifetime must be a number above zero" },
  { 'unauthorized = "deny"', 'unauthorized must be "login", "401" or "pass"' },
  { 'allow = "all"', "allow must be a function" },
  { 'headers = { "X-User" }', "headers must map names to claims" },
  { 'headers = { ["X User"] = "sub" }', 'headers must not have "X User", which is no name' },
  { 'headers = { ["X-User"] = 5 }', "headers must map names to" },
  { 'headers = { Authorization = "sub" }', "headers must not set Authorization" },
  { 'headers = { cookie = "sub" }', "headers must not set Cookie" },
  { 'authorization = "id_token"', "authorization must be a boolean" },
  { 'dpop = true', "dpop needs authorization = false: the application could not use the token" },
  { 'userinfo = 1', "userinfo must be a boolean" },
  { 'end_session = 1', "end_session must be a boolean" },
  { 'after_logout = "bye"', "after_logout must be a path, or a URL" },
  { 'timeout = 0', "timeout must be a number above zero" },
  { 'scope = 5', "scope must be" },
  { 'client_id = ""', "client_id is required" },
  { 'redirect_uri = "https://a.example/"', "unknown option redirect_uri" },
  { 'idle = 5', "unknown option idle; known are" },
}

describe("the options of tokencache.nginx.login", function()
  local server

  local function source()
    local list = {}
    for i, case in ipairs(WRONG) do
      list[i] = ("function() return { %s } end"):format(case[1])
    end
    return table.concat(list, ",\n")
  end

  setup(function()
    server = nginx.start {
      http = "lua_shared_dict tokencache 1m;",
      values = { CASES = source() },
      server = [[
        location /wrong {
          content_by_lua_block {
            tokencache = require "tokencache"
            store = tokencache.store
            local merged = require "support.merged"
            local right = { client_id = "a", client_secret = "b", store = store.memory(),
              public_url = "https://app.example" }
            for _, case in ipairs { $CASES } do
              local given = merged(right, case())
              given.issuer = given.issuer or "https://login.example"
              ngx.say((select(2, pcall(function()
                local _ = tokencache.nginx.login(given)
              end))))
            end
          }
        }
        location /none {
          content_by_lua_block {
            local login = require("tokencache").nginx.login
            ngx.say(select(2, pcall(login)))
            ngx.say(select(2, pcall(login, { client_id = "a", client_secret = "b",
              issuer = "https://login.example", public_url = "https://app.example" })))
            ngx.say(tostring(login { client_id = "a", client_secret = "much-secret",
              issuer = "https://login.example", public_url = "https://App.example:443/",
              store = require("tokencache").store.memory() }))
          }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
  end)

  it("raise where they are wrong, and name themselves", function()
    local _, body = server:get("/wrong")
    local i = 0
    for line in body:gmatch("[^\n]+") do
      i = i + 1
      assert.matches(WRONG[i][2], line, 1, true)
      assert.matches("^content_by_lua.*: nginx%.login: ", line) -- the caller is to blame
      assert.is_nil(line:find("much-secret", 1, true))
    end
    assert.equal(#WRONG, i)
  end)

  it("are few that must be given", function()
    local _, body = server:get("/none")
    assert.matches("public_url is required; give where browsers find this server", body, 1, true)
    assert.matches("store is required: give one of tokencache.store; or cookie_secret", body, 1,
      true)
    assert.matches("\ntokencache.nginx.login: https://app.example\n", body, 1, true)
  end)
end)
