-- Login by another device inside nginx: in two halves, which two requests may be; and in one call,
-- while which the worker serves others.

local json = require "tokencache.json"
local nginx = require "support.nginx"
local oidc_provider = require "support.oidc_provider"
local process = require "support.process"

local HTTP = [[
  lua_shared_dict tokens 1m;
  lua_shared_dict shown 1m;
  init_by_lua_block {
    local tokencache = require "tokencache"
    json, answer = require "tokencache.json", require("support.in_nginx").answer
    local store = tokencache.store.shared_dict(ngx.shared.tokens)
    local function new(more)
      local all = {
        provider = { token_url = "$URL/token", device_authorization_url = "$URL/device/auth" },
        client_id = "public", scope = "openid read", proxy = "", store = store,
        pending_key = "sixteen bytes or more",
      }
      for name, value in pairs(more) do
        all[name] = value
      end
      return tokencache.flow.device(all)
    end
    flow = new {}
    showing = new { show = function(prompt)
      ngx.shared.shown:set("uri", prompt.verification_uri_complete)
    end }
  }
]]

local SERVER = [[
  location /begin {
    content_by_lua_block {
      local prompt, pending = flow:begin()
      ngx.say(json.encode { uri = prompt.verification_uri_complete, pending = pending })
    }
  }
  location /poll {
    content_by_lua_block {
      local info, err = flow:poll(ngx.var.arg_pending, function(came)
        return "user"
      end)
      answer(info and info.access_token, err)
    }
  }
  location /poll_at {
    content_by_lua_block {
      local info, err = flow:poll(ngx.var.arg_pending, ngx.var.arg_key)
      answer(info and info.access_token, err)
    }
  }
  location /token {
    content_by_lua_block { answer(flow:account(ngx.var.arg_key):get_access_token()) }
  }
  location /wait {
    content_by_lua_block { answer(showing:account("waiting"):get_access_token { timeout = 60 }) }
  }
  location /shown { content_by_lua_block { answer(ngx.shared.shown:get "uri") } }
  location /phase {
    set_by_lua_block $refused {
      local prompt, err = flow:begin()
      return err.kind .. ": " .. tostring(err)
    }
    return 200 "$refused\n";
  }
]]

describe("a login by another device in nginx", function()
  local provider, server

  before_each(function()
    provider = oidc_provider.start { device_interval = 0.1 }
    server = nginx.start { workers = 1, http = HTTP, server = SERVER,
      values = { URL = provider.url } }
  end)

  after_each(function()
    server:stop()
    provider:stop()
  end)

  local function get(path)
    return (select(2, server:get(path)):gsub("\n$", ""))
  end

  local function poll(path)
    return process.wait_until("the end of the login", function()
      local text = get(path)
      return not text:find("^transient: the user has not finished") and text
    end)
  end

  it("takes place in two halves", function()
    for _, place in ipairs { "/poll?key=user&", "/poll_at?key=other&" } do
      local began = json.decode(get "/begin")
      local path = place .. "pending=" .. began.pending
      assert.matches("^transient: the user has not finished the login yet; ask again in 1 seconds",
        get(path))
      assert.equal("Sign-in Success", provider:login(began.uri))
      local token = poll(path)
      assert.equal("alice", provider:owner(token))
      assert.equal(token, get("/token?key=" .. place:match("key=(%w+)")))
      assert.matches("^state: this login was finished before", get(path))
    end
  end)

  it("is waited for while others are served", function()
    local waiting = server:begin("/wait")
    local uri = process.wait_until("the code", function()
      local text = get "/shown"
      return text:find("^http") and text
    end)
    assert.is_false(waiting:is_answered())
    assert.equal("Sign-in Success", provider:login(uri))
    local _, body = waiting:finish()
    assert.equal("alice", provider:owner((body:gsub("\n$", ""))))
  end)

  it("takes two requests where nobody is shown the code", function()
    assert.matches("^reauthorize: the user must log in, which takes two requests to nginx: show "
      .. "what begin%(%) returns, and give its pending to poll%(%)", get "/token?key=nobody")
  end)

  it("cannot begin in a phase that may not wait", function()
    assert.matches("^config: ", get "/phase")
  end)
end)
