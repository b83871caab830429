local nginx = require "support.nginx"

describe("store.shared_dict", function()
  local server

  setup(function()
    server = nginx.start {
      http = "lua_shared_dict tokens 100k;",
      server = [[
        location / {
          content_by_lua_block {
            require("support.in_nginx").run(function()
              dofile "$ROOT/tests/nginx/inside/shared_dict.lua"
            end)
          }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
  end)

  it("does inside nginx what tests/nginx/inside/shared_dict.lua says", function()
    server:check_tap "/"
  end)

  it("raises outside of nginx", function()
    assert.has_error(function() require("tokencache").store.shared_dict {} end,
      "store.shared_dict: there are shared dictionaries in nginx only")
  end)
end)
