-- The contract of cache handlers, inside nginx.

local folder = require "support.folder"
local nginx = require "support.nginx"

describe("in nginx the contract of cache handlers", function()
  local directory, server

  setup(function()
    directory = folder.new()
    server = nginx.start {
      http = "lua_shared_dict tokens 10m;",
      values = { DIRECTORY = directory.path },
      server = [[
        location / {
          content_by_lua_block {
            local tokencache = require "tokencache"
            local handlers = {}
            function handlers.file(name)
              return tokencache.cache.file { cache_path = "$DIRECTORY/" .. name }
            end
            local store = tokencache.store.shared_dict(ngx.shared.tokens)
            function handlers.shared_dict(name)
              return tokencache.cache.from_store(store, name)
            end
            function handlers.memory()
              return tokencache.cache.memory {}
            end
            local make = handlers[ngx.var.arg_of]
            require("support.in_nginx").run(function()
              tokencache.testing.contract(make, { reopen = ngx.var.arg_reopen and make })
            end)
          }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
    directory:remove()
  end)

  it("holds for the memory handler", function()
    server:check_tap "/?of=memory"
  end)

  it("holds for the file handler, whose work is done in threads", function()
    server:check_tap "/?of=file&reopen=1"
  end)

  it("holds for a shared dictionary", function()
    server:check_tap "/?of=shared_dict&reopen=1"
  end)
end)
