-- Transports that a program names in nginx: they hold up nobody, and keep the time they are given.

local deadline = require "support.deadline"
local dns_server = require "support.dns_server"
local fake_endpoint = require "support.fake_endpoint"
local key = require "tokencache.key"
local nginx = require "support.nginx"
local process = require "support.process"
local scripted_server = require "support.scripted_server"

describe("a transport in nginx", function()
  local endpoint, dns, server

  setup(function()
    endpoint, dns = fake_endpoint.start { tls = true }, dns_server.start()
    server = nginx.start {
      values = { URL = endpoint:url("token"),
        DNS = tostring(dns.port), OTHER = endpoint.directory .. "/mismatch.pem",
        MISMATCH = endpoint:url("token", "mismatch"), CA = endpoint.ca_file,
        REFUSED = endpoint.refused_url },
      http = [[
        lua_socket_log_errors off;
        resolver 127.0.0.1:$DNS ipv6=off;
        lua_ssl_trusted_certificate $CA;
        init_by_lua_block {
          tokencache = require "tokencache"
          in_nginx = require "support.in_nginx"
          package.path = "$ROOT/tests/vendor/lua-resty-http/?.lua;" .. package.path
          package.loaded["resty.string"] = {} -- for client certificates alone
          transports = {
            curl = require("tokencache.transport.curl").new { proxy = "" },
            resty = require("tokencache.transport.resty_http").new {},
          }
          transports.wrapped = { request = function(_, request)
            return transports.curl:request(request)
          end }
          function ask(url)
            local flow = in_nginx.new_flow(url, tokencache.cache.memory {}, {
              http = transports[ngx.var.arg_by], timeout = tonumber(ngx.var.arg_timeout) })
            in_nginx.answer(flow:get_access_token())
          end
          function ask_for()
            local core = require "tokencache._core"
            local args = ngx.req.get_uri_args()
            local before = tonumber(args.before)
            local response, err = transports[args.by]:request { method = "POST", url = args.url,
              body = "", headers = {}, timeout = 20,
              deadline = before and core.monotonic() + before }
            ngx.say(response and response.status .. " " .. response.body
              or err.kind .. ": " .. tostring(err.sent) .. " " .. tostring(err))
          end
        }]],
      server = [[
        location /token { content_by_lua_block { ask("$URL") } }
        location /asked { content_by_lua_block { ask_for() } }
        location /mistrusting {
          lua_ssl_trusted_certificate $OTHER;
          content_by_lua_block { ask_for() }
        }
        location /mismatch { content_by_lua_block { ask("$MISMATCH") } }
        location /at_once {
          content_by_lua_block {
            local tcp = getmetatable(ngx.socket.tcp()).__index
            local sslhandshake = tcp.sslhandshake
            tcp.sslhandshake = function() assert(false) end -- as lua-resty-core does then
            ask("$MISMATCH")
            tcp.sslhandshake = sslhandshake
          }
        }
        location /refused { content_by_lua_block { ask("$REFUSED") } }
        location /beats {
          content_by_lua_block {
            local beats = 0
            transports[ngx.var.arg_by]:request { method = "POST", url = "$URL",
              body = "", headers = {},
              timeout = tonumber(ngx.var.arg_timeout), heartbeat_interval = 0.05,
              heartbeat = function()
                beats = beats + 1
              end }
            ngx.say(beats)
          }
        }
        location /quick { content_by_lua_block { ngx.say("here") } }
        location /rewritten {
          set_by_lua_block $told {
            local _, err = transports.resty:request { url = "$URL", timeout = 1 }
            return tostring(err)
          }
          content_by_lua_block { ngx.say(ngx.var.told) }
        }]],
    }
  end)

  teardown(function()
    server:stop()
    endpoint:stop()
    dns:stop()
  end)

  before_each(function()
    endpoint:clear()
  end)

  after_each(function()
    server:check()
  end)

  local function body_of(path)
    local _, body = server:get(path)
    return body
  end

  local function asked(by, url, before, path)
    return body_of(("%s?by=%s&url=%s&before=%s"):format(path or "/asked", by,
      key.escape(url, "[:/?]"), before or ""))
  end

  for _, by in ipairs { "curl", "wrapped", "resty" } do
    it("(" .. by .. ") brings a token", function()
      assert.equal("access-1\n", body_of("/token?by=" .. by))
    end)

    it("(" .. by .. ") holds up nobody else", function()
      endpoint:behave("silent")
      local waiting = server:begin("/token?timeout=20&by=" .. by)
      process.wait_until("the token request", function() return #endpoint:requests() > 0 end)
      for _ = 1, 20 do
        assert.equal("here\n", body_of("/quick"))
      end
      assert.is_false(waiting:is_answered())
      endpoint:close_connections()
      local _, body = waiting:finish()
      assert.matches("^transient: http://127.0.0.1:%d+: ", body)
    end)

    it("(" .. by .. ") keeps a deadline that is not the end of the timeout", function()
      for _, behaviour in ipairs { "silent", "drip" } do
        assert.matches("^timeout: ", asked(by, endpoint:url(behaviour), 0.3))
      end
      endpoint:clear()
      assert.matches("^timeout: false ", asked(by, endpoint:url("token"), -1))
      assert.equal(0, #endpoint:requests())
    end)

    it("(" .. by .. ") takes whole tokens of which more was announced", function()
      for _, behaviour in ipairs { "too-short", "half-chunked", "bad-chunk", "unended" } do
        deadline.enough(0.5, function(seconds)
          return asked(by, endpoint:url(behaviour), seconds):find "^200 {.*}\n$"
        end)
      end
      assert.matches("^transient: ", asked(by, endpoint:url("partial")))
      local closing = scripted_server.start {
        { 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":"b"}', "hang up" } }
      finally(function() closing:stop() end)
      assert.equal('200 {"a":"b"}\n', asked(by, "http://127.0.0.1:" .. closing.port .. "/"))
    end)

    it("(" .. by .. ") follows no redirect, and knows the authority of a certificate", function()
      assert.matches("^302 ", asked(by, endpoint:url("redirect")))
      assert.equal(1, #endpoint:requests())
      if by == "resty" then -- libcurl is told by ca_file, here by lua_ssl_trusted_certificate
        local url = endpoint:url("token", "https"):gsub("127%.0%.0%.1", "localhost")
        assert.matches("^200 ", asked(by, url))
        assert.matches("^config: false .*certificate", asked(by, url, nil, "/mistrusting"))
      end
      assert.matches("^protocol: .*larger than", asked(by, endpoint:url("large-chunked")))
    end)

    it("(" .. by .. ") gives up an answer that drips", function()
      endpoint:behave("drip")
      local body = body_of("/token?timeout=0.5&by=" .. by)
      assert.matches("^timeout: ", body)
      -- the server would drip for ever: nobody listens any more
      process.wait_until("the connection to be closed", function()
        return endpoint:open_connections() == 0
      end)
    end)
  end

  it("(resty) says in its own words what went wrong", function()
    endpoint:behave("large")
    assert.matches("^protocol: http://127.0.0.1:%d+: the answer is larger than 1 MiB", body_of(
      "/token?by=resty"))
    assert.matches("^transient: http://127.0.0.1:%d+: ", body_of "/refused?by=resty")
    assert.matches("phase set nothing can be waited for", body_of "/rewritten")
  end)

  it("(resty) sends nothing to a server with the certificate of another", function()
    assert.matches("^config: https://[^:]+:%d+: .*certificate", body_of "/mismatch?by=resty")
    assert.matches("^config: https://[^:]+:%d+: .*certificate", body_of "/at_once?by=resty")
    assert.equal(0, #endpoint:requests())
  end)

  it("reads encoded answers, or says that it cannot, and heeds no false name", function()
    for by, expected in pairs { curl = "^200 {.*}\n$",
      resty = "^protocol: nil http://127.0.0.1:%d+: the answer is encoded %(gzip%), though none "
        .. "was asked for, and lua%-resty%-http cannot" } do
      assert.matches(expected, asked(by, endpoint:url("encoded?as=gzip")))
    end
    endpoint:answer(200, { access_token = "a" }, { ["Content-Encoding"] = "gzip" })
    assert.matches('^200 {"access_token":"a"}\n$', asked("resty", endpoint:url("token")))
    endpoint:clear()
    endpoint:answer(503, {}, { ["Content-Encoding"] = "gzip" })
    assert.matches("^503 ", asked("resty", endpoint:url("token")))
    endpoint:clear()
    assert.equal("access-1\n", body_of("/token?by=resty"))
    assert.equal("identity", endpoint:requests()[1].headers["accept-encoding"])
  end)

  it("(resty) lets the heart beat meanwhile", function()
    endpoint:behave("silent")
    deadline.enough(0.5, function(seconds)
      return tonumber((body_of("/beats?by=resty&timeout=" .. seconds))) >= 3
    end)
  end)
end)
