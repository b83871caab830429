local nginx = require "support.nginx"

describe("store.shared_dict", function()
  local server

  setup(function()
    server = nginx.start {
      http = "lua_shared_dict tokens 100k; lua_shared_dict many 100m;",
      server = [[
        location / {
          content_by_lua_block {
            require("support.in_nginx").run(function()
              dofile("$ROOT/tests/nginx/inside" .. ngx.var.uri .. ".lua")
            end)
          }
        }
      ]],
    }
  end)

  teardown(function()
    server:stop()
  end)

  for _, name in ipairs { "/shared_dict", "/shared_dict_replace", "/shared_dict_keys" } do
    it("does inside nginx what tests/nginx/inside" .. name .. ".lua says", function()
      server:check_tap(name)
    end)
  end

  it("raises outside of nginx", function()
    assert.has_error(function() require("tokencache").store.shared_dict {} end,
      "store.shared_dict: there are shared dictionaries in nginx only")
  end)
end)
