-- Redis by TLS from inside nginx: by cosockets to a name; in a thread to an address, or with files
-- of one's own.

local certificates = require "support.certificates"
local dns_server = require "support.dns_server"
local folder = require "support.folder"
local nginx = require "support.nginx"
local redis_server = require "support.redis_server"

describe("inside nginx, store.redis with TLS", function()
  local directory, dns, redis, server

  setup(function()
    directory, dns = folder.new(), dns_server.start()
    certificates.make(directory.path)
  end)

  teardown(function()
    directory:remove()
    dns:stop()
  end)

  after_each(function()
    server:stop()
    redis:stop()
  end)

  local function start(certificate, options, settings)
    redis = redis_server.start_tls(directory.path, certificate, settings.asks)
    local values = { CA = directory:file "ca.pem", DNS = tostring(dns.port),
      REDIS = tostring(redis.port), DIRECTORY = directory.path }
    local function fill(text)
      return (text:gsub("OPTIONS", options):gsub("%u+", values))
    end
    server = nginx.start {
      thread_pool = settings.thread_pool or false,
      http = fill("lua_socket_log_errors off; resolver 127.0.0.1:DNS; " .. (settings.http or "")),
      server = fill [[
        location / {
          content_by_lua_block {
            local tokencache = require "tokencache"
            local store = tokencache.store.redis { port = REDIS, tls = true, OPTIONS }
            local ok, err = store:set("k", ("v"):rep(100000))
            ngx.say(ok and #store:get "k" or (err.code or err.kind) .. " " .. err)
          }
        }
      ]],
    }
  end

  local function body()
    return (select(2, server:get("/")):gsub("\n$", ""))
  end

  --- The reason is not always told.
  local function expect_refusal()
    for _ = 1, 20 do
      local text = body()
      assert.truthy(text:find("^TLS localhost:%d+: Redis: no TLS: .*certificate.*; check tls=, "
        .. "lua_ssl_trusted_certificate in nginx.conf, and the server's certificate$"), text)
    end
    assert.equal("", redis:cli("KEYS", "*"))
  end

  local TRUSTING = "lua_ssl_trusted_certificate CA;"

  it("speaks to a name by cosockets, and shakes hands once for each connection", function()
    start("leaf", [[ host = "localhost" ]], { http = TRUSTING })
    for _ = 1, 5 do
      assert.equal("100000", body())
    end
    assert.equal("2", redis:cli("INFO", "stats"):match("total_connections_received:(%d+)"))
  end)

  it("refuses a certificate of another host", function()
    start("mismatch", [[ host = "localhost" ]], { http = TRUSTING })
    expect_refusal()
  end)

  it("refuses a certificate that nginx was not told to trust", function()
    start("leaf", [[ host = "localhost" ]], {})
    expect_refusal()
  end)

  it("speaks to an address in a thread, where addresses can be verified", function()
    start("leaf", [[ ca_file = "CA" ]], { thread_pool = true })
    assert.equal("100000", body())
  end)

  it("shows a certificate of its own in a thread", function()
    start("leaf", [[ host = "localhost", ca_file = "CA", cert_file = "DIRECTORY/leaf.pem",
      key_file = "DIRECTORY/leaf.key" ]], { thread_pool = true, asks = "yes" })
    assert.equal("100000", body())
  end)

  it("names the directive that is missing where a thread is needed", function()
    start("leaf", [[ ca_file = "CA" ]], {})
    assert.truthy(body():find("^config .*add \"thread_pool tokencache threads="))
  end)
end)
