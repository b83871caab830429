-- More renewals at a time than nginx has threads and timers for, by callers without patience, half
-- of whom leave: what the provider has done is saved. The provider is nginx itself; it takes each
-- refresh token once.

local nginx = require "support.nginx"
local process = require "support.process"

local ACCOUNTS = 240

local HTTP = [[
  lua_shared_dict provider 1m;
  lua_shared_dict tokens 4m;
  init_by_lua_block {
    tokencache = require "tokencache"
    json = require "tokencache.json"
    answer = require("support.in_nginx").answer
    store = tokencache.store.shared_dict(ngx.shared.tokens)
    local function new_flow(pause, request_time)
      return tokencache.flow.authorization_code {
        provider = { authorize_url = "http://127.0.0.1:$PORT/auth",
          token_url = "http://127.0.0.1:$PORT/provider?pause=" .. pause },
        client_id = "a", client_secret = "b", redirect_uri = "http://127.0.0.1:8080/callback",
        proxy = "", store = store, authorize = false, request_time = request_time,
      }
    end
    flow, slow_flow = new_flow(0.02, 10), new_flow(0.1, 5)
  }
]]

local SERVER = [[
  location /provider {
    content_by_lua_block {
      ngx.req.read_body()
      local sent = ngx.req.get_body_data():match("refresh_token=([^&]*)")
      local key, serial = sent:match("^(%d+)-(%d+)$")
      local provider = ngx.shared.provider
      provider:incr("requests", 1, 0)
      ngx.sleep(tonumber(ngx.var.arg_pause))
      if not provider:add(sent, true) then
        ngx.status = 400
        return ngx.say('{"error":"invalid_grant"}')
      end
      serial = serial + 1
      provider:set("latest " .. key, key .. "-" .. serial)
      ngx.say(json.encode { access_token = key .. "/" .. serial, token_type = "Bearer",
        refresh_token = key .. "-" .. serial, expires_in = 3600 })
    }
  }
  location /begin {
    content_by_lua_block {
      for i = 1, $ACCOUNTS do
        tokencache.cache.from_store(store, tostring(i)):save_token_to_cache { access_token = "old",
          refresh_token = i .. "-1", expires_at = 10, client_id = "a" }
      end
      answer(true)
    }
  }
  location /token {
    lua_check_client_abort on;
    content_by_lua_block {
      assert(ngx.on_abort(function() ngx.exit(499) end))
      local flow = ngx.var.arg_slow and slow_flow or flow
      answer(flow:account(ngx.var.arg_key):get_access_token {
        timeout = tonumber(ngx.var.arg_timeout) })
    }
  }
  location /requests { content_by_lua_block { answer(ngx.shared.provider:get("requests")) } }
  location /lost { # the keys whose newest token is not in the store
    content_by_lua_block {
      local lost = {}
      for i = 1, $ACCOUNTS do
        local latest = ngx.shared.provider:get("latest " .. i) or i .. "-1"
        if json.decode(store:get(tostring(i))).refresh_token ~= latest then
          lost[#lost + 1] = i
        end
      end
      answer(table.concat(lost, " "))
    }
  }
]]

describe("more renewals than nginx has threads for", function()
  local server

  before_each(function()
    server = nginx.start { http = HTTP, server = SERVER,
      values = { ACCOUNTS = tostring(ACCOUNTS) } }
    assert.equal("true\n", (select(2, server:get("/begin"))))
  end)

  after_each(function() server:stop() end)

  local function begin(query, count)
    local requests = {}
    for i = 1, count do
      requests[i] = server:begin(query .. "&key=" .. i)
    end
    return requests
  end

  --- Each gets its token, or is told that the time is over.
  local function finish(requests, first, step)
    for i = first, #requests, step do
      local _, body = requests[i]:finish()
      assert.is_true(body:find("^timeout: ") ~= nil or body == i .. "/2\n", body)
    end
  end

  local function expect_none_lost(count)
    process.wait_until("every token to be saved", function()
      return select(2, server:get("/lost")) == "\n"
    end)
    for i = 1, count do
      local body
      process.wait_until("the token of account " .. i, function()
        body = select(2, server:get("/token?key=" .. i))
        return not body:find "^timeout: " -- of a renewal that began before
      end)
      assert.matches("^" .. i .. "/%d\n$", body)
    end
    assert.equal("\n", (select(2, server:get("/lost"))))
  end

  it("lose no login of callers who leave or run out of time", function()
    local requests = begin("/token?timeout=0.5", ACCOUNTS)
    process.wait_until("the provider to be at work", function()
      return (tonumber((select(2, server:get("/requests")))) or 0) > 20
    end)
    for i = 1, ACCOUNTS, 2 do
      requests[i].socket:close()
    end
    finish(requests, 2, 2)
    expect_none_lost(ACCOUNTS)
  end)

  it("are not begun later than their time allows", function()
    finish(begin("/token?slow=1&timeout=2", ACCOUNTS), 1, 1)
    expect_none_lost(ACCOUNTS)
  end)
end)
