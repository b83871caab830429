-- nginx's clock stands still for as long as the directive timer_resolution says.

local nginx = require "support.nginx"
local process = require "support.process"

local HTTP = [[
  lua_shared_dict front 1m;
  lua_shared_dict back 1m;
  init_by_lua_block {
    local tokencache = require "tokencache"
    local cache, store = tokencache.cache, tokencache.store
    front = store.shared_dict(ngx.shared.front)
    flow = require("support.in_nginx").new_flow("https://login.example/token", cache.tiered {
      front = cache.from_store(front, "token"),
      back = cache.from_store(store.shared_dict(ngx.shared.back), "token"),
    })
    function save(token, serves)
      front:set("token", ('{"access_token":"%s","expires_at":%d}'):format(token,
        require("tokencache.io").now() + serves))
    end
    if $IN_INIT then -- in the master, which has no timer
      save("early", 3600)
      assert(flow:peek_access_token() == "early")
    end
  }
]]

local SERVER = [[
  location /save { content_by_lua_block { save(ngx.var.arg_token, tonumber(ngx.var.arg_serves)) } }
  location /delete { content_by_lua_block { front:delete("token") } }
  location /peek { content_by_lua_block { ngx.print((flow:peek_access_token())) } }
  location /settle { # peeks until the remembered token is returned
    content_by_lua_block {
      local dict, looks = getmetatable(ngx.shared.front).__index, 0
      local get = dict.get
      dict.get = function(...) looks = looks + 1 return get(...) end
      local tries, before = 0
      repeat
        before, tries = looks, tries + 1
        flow:peek_access_token()
      until looks == before or tries == 1000
      dict.get = get
      ngx.print(looks == before and "remembered" or "looked for")
    }
  }
]]

describe("peek_access_token in nginx", function()
  local server

  after_each(function()
    server:stop()
  end)

  local function start(main, in_init)
    server = nginx.start { main = main, http = HTTP, server = SERVER,
      values = { IN_INIT = tostring(in_init or false) } }
  end

  local function peek()
    return (select(2, server:get("/peek")))
  end

  for _, in_init in ipairs { false, true } do
    it("sees at once what was deleted, and replaced, with timer_resolution 5s"
      .. (in_init and ", also after a look in init_by_lua" or ""), function()
      start("timer_resolution 5s;", in_init)
      for i = 1, 5 do
        server:get("/save?serves=3600&token=token-" .. i)
        assert.equal("token-" .. i, peek())
        assert.equal("looked for", (select(2, server:get("/settle"))))
      end
      server:get "/delete"
      assert.equal("nil", peek())
    end)

    it("looks once in a turn without it"
      .. (in_init and ", also after a look in init_by_lua" or ""), function()
      start("", in_init)
      server:get "/save?serves=3600&token=a"
      assert.equal("remembered", (select(2, server:get("/settle"))))
      server:get "/delete"
      process.wait_until("the next turn", function() return peek() == "nil" end)
    end)
  end
end)
