-- A token that is owed when a program ends: one more attempt where that needs no event loop.

local folder = require "support.folder"
local process = require "support.process"

describe("a token that could not be saved", function()
  local dir

  setup(function() dir = folder.new() end)
  teardown(function() dir:remove() end)

  it("is saved at the end of the program, if that is possible by then", function()
    local path = dir:file("token")
    local code, output = process.run(process.lua([[
      local path = ...
      local tokencache = require "tokencache"
      tokencache.set_logger(false)
      local file = assert(io.open(path, "w"))
      file:write('{"access_token":"old","refresh_token":"r1","expires_at":5,"scope":null}')
      file:close()
      local flow = tokencache.flow.authorization_code {
        provider = { token_url = "https://a.example/t", authorize_url = "https://a.example/a" },
        client_id = "c", client_secret = "s", redirect_uri = "http://127.0.0.1:1/",
        authorize = false, cache = tokencache.cache.file { cache_path = path },
        http = { request = function()
          assert(os.rename(path, path .. ".kept"))
          os.execute("mkdir '" .. path .. "'")
          return { status = 200, body = '{"access_token":"new","token_type":"Bearer",'
            .. '"expires_in":3600,"refresh_token":"r2"}' }
        end },
      }
      io.write(assert(flow:get_access_token()))
      os.execute("rmdir '" .. path .. "'")
      assert(os.rename(path .. ".kept", path))
    ]], path))
    assert.equal(0, code, output)
    assert.equal("new", output)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    assert.matches('"refresh_token":"r2"', text, 1, true)
  end)
end)
