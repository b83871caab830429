-- How the transport is used, rightly and wrongly; what it does is in transport_spec.lua.

local core = require "tokencache._core"
local curl = require "tokencache.transport.curl"
local fake_endpoint = require "support.fake_endpoint"
local merged = require "support.merged"
local process = require "support.process"
local tokencache = require "tokencache"

describe("the curl transport", function()
  local endpoint, transport

  setup(function()
    endpoint = fake_endpoint.start()
  end)

  teardown(function()
    endpoint:stop()
  end)

  before_each(function()
    transport = curl.new { proxy = "" }
  end)

  after_each(function()
    transport:close()
  end)

  describe("refuses", function()
    it("URLs that are none of its business", function()
      for _, url in ipairs {
        "ftp://127.0.0.1/", "file:///etc/passwd", "nonsense", "http://user:hush-body@127.0.0.1/",
        "http://127.0.0.1/a b", "",
      } do
        local _, err = transport:request { method = "POST", url = url, headers = {}, body = "" }
        assert.equal("config", err.kind, url)
        assert.is_false(err.sent)
        assert.is_nil(tostring(err):find("hush", 1, true))
      end
    end)

    it("unknown and wrong options by name", function()
      assert.has_error(function() curl.new { ca_fiel = "x" } end,
        "transport.curl: unknown option ca_fiel; known are ca_file, connect_timeout, proxy")
      assert.error_matches(function() curl.new { connect_timeout = 0 } end,
        "connect_timeout must be")
    end)

    it("wrong fields of a request by name", function()
      local function request(changes)
        local fields = merged({ method = "POST", url = endpoint:url("token"), headers = {},
          body = "" }, changes)
        return function() transport:request(fields) end
      end
      assert.error_matches(request { method = "BREW" }, "method must be")
      assert.error_matches(request { url = 1 }, "url must be a string, not number")
      assert.error_matches(request { url = "http://a/\0" }, "url holds a NUL byte")
      assert.error_matches(request { body = {} }, "body must be a string, not table")
      assert.error_matches(request { headers = "x" }, "headers must be a table, not string")
      assert.error_matches(request { headers = { "x" } }, "a header's name must be a string")
      assert.error_matches(request { headers = { x = 1 } }, "a header's value must be a string")
      assert.error_matches(request { timeout = "x" }, "timeout must be a number, not string")
      assert.error_matches(request { deadline = {} }, "deadline must be a number, not table")
    end)

    it("to work once closed", function()
      local request = { method = "GET", url = endpoint:url("token") }
      assert(transport:request(request))
      transport:close()
      transport:close()
      assert.error_matches(function() transport:request(request) end, "the transport is closed")
    end)
  end)

  describe("is asked by a flow", function()
    local function flow_over(http, path, more)
      return tokencache.flow.client_credentials(merged({
        provider = { token_url = endpoint:url(path or "token") },
        client_id = "client",
        client_secret = "secret",
        cache = tokencache.cache.memory(),
        http = http,
      }, more))
    end

    local function counted(request)
      local count = 0
      return function(...)
        count = count + 1
        return request(...)
      end, function() return count end
    end

    it("by its request where that was replaced, be it between two calls", function()
      local flow, request, count = flow_over(transport), transport.request
      assert(flow:get_access_token { check_cache = false })
      transport.request, count = counted(request)
      assert(flow:get_access_token { check_cache = false })
      assert.equal(1, count())
    end)

    it("by the request of what is wrapped around it", function()
      local request, count = counted(transport.request)
      local wrapper = setmetatable({ request = request }, { __index = transport })
      assert(flow_over(wrapper):get_access_token { check_cache = false })
      assert.equal(1, count())
    end)

    it("for the headers of what is no success", function()
      local flow = flow_over(transport, "status/503?retry_after=77")
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal(77, err.retry_after)
    end)

    it("for no longer than the flow's timeout, whatever the flow's own clock shows", function()
      local flow = flow_over(transport, "silent", { timeout = 0.5,
        io = { monotonic = function() return core.monotonic() + 1e6 end } })
      local token, err = flow:get_access_token()
      assert.same({ nil, "timeout" }, { token, err.kind })
    end)

    it("and meanwhile by a finalizer, which runs while the answer is made into strings", function()
      local code, output = process.run(process.lua([[
        local token_url, other_url = ...
        local tokencache = require "tokencache"
        local transport = require("tokencache.transport.curl").new { proxy = "" }
        local calls, is_calling = 0, false
        local function call_when_collected()
          local function finalize()
            if not is_calling then
              is_calling, calls = true, calls + 1
              transport:request { method = "GET", url = other_url }
              is_calling = false
            end
            call_when_collected()
          end
          if newproxy then -- tables have no finalizers
            getmetatable(newproxy(true)).__gc = finalize
          else
            setmetatable({}, { __gc = finalize })
          end
        end
        call_when_collected()
        collectgarbage("setpause", 1)
        collectgarbage("setstepmul", 10000)
        local flow = tokencache.flow.client_credentials {
          provider = { token_url = token_url }, client_id = "a", client_secret = "b",
          cache = tokencache.cache.memory(), http = transport,
        }
        local tokens = 0
        repeat
          assert(assert(flow:get_access_token { check_cache = false }):find "^access%-%d+$")
          tokens = tokens + 1
        until tokens >= 100 and calls > 10
        os.exit(0, false)
      ]], endpoint:url("token"), endpoint:url("status/404")))
      assert.equal(0, code, output)
    end)

    it("to no avail once it is closed", function()
      local flow = flow_over(transport)
      assert(flow:get_access_token { check_cache = false })
      transport:close()
      assert.error_matches(function() flow:get_access_token { check_cache = false } end,
        "the transport is closed")
      assert.error_matches(function() flow_over(transport):get_access_token() end,
        "the transport is closed")
    end)
  end)

  it("loads libcurl at the first request only", function()
    local code, output = process.run(process.lua([[
      local function is_loaded()
        for line in io.lines("/proc/self/maps") do
          if line:find("libcurl", 1, true) then return true end
        end
        return false
      end
      local transport = require("tokencache.transport.curl").new { proxy = "" }
      assert(not is_loaded())
      assert(transport:request { method = "GET", url = ... })
      assert(is_loaded())
    ]], endpoint:url("token")))
    assert.equal(0, code, output)
  end)

  describe("its handle", function()
    local function new()
      return require("tokencache._http").new("", nil, 10)
    end

    it("is closed by close, and stays so", function()
      local handle = new()
      handle:close()
      handle:close()
      assert.error_matches(function()
        handle:start("GET", endpoint:url("token"), {}, nil, 10)
      end, "the HTTP client is closed")
    end)

    if _VERSION == "Lua 5.4" then
      it("is closed at the end of its block", function()
        local handle = new()
        load("local handle <close> = ...")(handle)
        assert.error_matches(function()
          handle:start("GET", endpoint:url("token"), {}, nil, 10)
        end, "the HTTP client is closed")
      end)
    end
  end)
end)
