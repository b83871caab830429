local cache_failure = require "support.cache_failure"
local certificates = require "support.certificates"
local deadline = require "support.deadline"
local folder = require "support.folder"
local keep_log = require "support.keep_log"
local log = require "tokencache.log"
local loopback = require "support.loopback"
local process = require "support.process"
local redis_server = require "support.redis_server"
local scripted_server = require "support.scripted_server"
local tokencache = require "tokencache"
local unix = require "support.unix"

describe("store.redis with TLS", function()
  local directory, server

  setup(function()
    directory = folder.new()
    certificates.make(directory.path)
  end)
  teardown(function() directory:remove() end)
  after_each(function()
    server:stop()
    log.set_logger()
  end)

  local function store(options)
    options.port, options.tls = server.port, true
    return tokencache.store.redis(options)
  end

  local function trusting(options)
    options = options or {}
    options.ca_file = directory:file "ca.pem"
    return store(options)
  end

  local function expect(code, words, one)
    local message = cache_failure(code, one:get "k")
    assert.truthy(message:find(words, 1, true), message)
  end

  it("goes to a cluster's nodes by the addresses that they tell", function()
    server = redis_server.start_tls(directory.path, "leaf", "no", { "--cluster-enabled", "yes",
      "--tls-cluster", "yes", "--cluster-port", loopback.free_port(),
      "--cluster-announce-ip", "127.0.0.1" })
    server:cli("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    local function in_cluster(ca)
      return tokencache.store.redis { cluster = { "localhost:" .. server.port }, tls = true,
        ca_file = directory:file(ca) }
    end
    process.wait_until("the cluster", function()
      return server:cli("CLUSTER", "INFO"):find "cluster_state:ok"
    end)
    local one = in_cluster "ca.pem"
    assert.is_true(one:set("k", "v"))
    assert.equal("v", one:get "k")
    expect("TLS", "certificate", in_cluster "leaf.key")
  end)

  it("keeps bytes, large ones too", function()
    server = redis_server.start_tls(directory.path, "leaf")
    for _, host in ipairs { "127.0.0.1", "localhost" } do
      local one, bytes = trusting { host = host }, ("0123456789abcdef"):rep(2 ^ 16)
      assert.is_true(one:set("k", bytes))
      assert.is_true(one:get "k" == bytes)
      assert.is_true(one:delete "k")
    end
  end)

  it("keeps its connection, and makes a new one where that was lost", function()
    server = redis_server.start_tls(directory.path, "leaf")
    local one, logged = trusting(), keep_log()
    for _ = 1, 3 do
      assert.is_true(one:set("k", "v"))
    end
    assert.same({}, logged)
    server:kill()
    server:restart()
    assert.same({}, { one:get "k" })
    assert.equal(1, #logged)
  end)

  it("is not taken for lost where a connection to another server was", function()
    server = redis_server.start_tls(directory.path, "leaf")
    local other = redis_server.start_tls(directory.path, "leaf")
    finally(function() other:stop() end)
    local one = trusting()
    local two = tokencache.store.redis { port = other.port, tls = true,
      ca_file = directory:file "ca.pem" }
    assert.is_true(one:set("k", "v"))
    assert.is_true(two:set("k", "v"))
    other:kill()
    expect("CONNECT", "refused", two)
    local logged = keep_log()
    assert.equal("v", one:get "k")
    assert.same({}, logged)
  end)

  it("is found by sentinels that speak it too, or do not", function()
    server = redis_server.start_tls(directory.path, "leaf")
    local file, tls_port, port = directory:file "leaf", loopback.free_port(), loopback.free_port()
    local config = directory:file "sentinel.conf"
    process.write_file(config, ([[
      port %d
      tls-port %d
      bind 127.0.0.1
      dir %s
      tls-cert-file %s.pem
      tls-key-file %s.key
      tls-ca-cert-file %s/ca.pem
      tls-auth-clients no
      tls-replication yes
      sentinel monitor tokens 127.0.0.1 %d 1
    ]]):format(port, tls_port, directory.path, file, file, directory.path, server.port))
    local sentinel = process.start { "redis-server", config, "--sentinel" }
    finally(function() sentinel:stop() end)
    process.wait_until("the sentinel", function() return loopback.is_listening(port) end)
    for at, sentinel_tls in pairs { [tls_port] = true, [port] = false } do
      local one = tokencache.store.redis { sentinels = { "127.0.0.1:" .. at }, master = "tokens",
        tls = true, ca_file = directory:file "ca.pem", sentinel_tls = sentinel_tls }
      assert.is_true(one:set("k", "v"))
      one = tokencache.store.redis { sentinels = { "127.0.0.1:" .. at }, master = "tokens",
        tls = true, sentinel_tls = sentinel_tls }
      local message = cache_failure("TLS", one:set("k", "v"))
      assert.truthy(message:find(sentinel_tls and "(sentinel " or "(master ", 1, true), message)
    end
  end)

  it("does not trust an authority that nobody named", function()
    server = redis_server.start_tls(directory.path, "leaf")
    expect("TLS", "the server's certificate is not trusted: self-signed certificate in certificate "
      .. "chain; check tls=, ca_file=, cert_file= and the server's certificate", store {})
  end)

  it("does not trust a certificate for another host", function()
    server = redis_server.start_tls(directory.path, "mismatch")
    expect("TLS", "IP address mismatch", trusting())
    expect("TLS", "hostname mismatch", trusting { host = "localhost" })
  end)

  it("shows its own certificate where the server asks for one", function()
    server = redis_server.start_tls(directory.path, "leaf", "yes")
    expect("TLS", "the server ended the connection after the handshake", trusting())
    local one = trusting {
      cert_file = directory:file "leaf.pem", key_file = directory:file "leaf.key" }
    assert.is_true(one:set("k", "v"))
  end)

  it("names the file that it cannot use", function()
    server = redis_server.start_tls(directory.path, "leaf")
    expect("TLS", "ca_file /nowhere: No such file or directory; ", store { ca_file = "/nowhere" })
    expect("TLS", "cert_file /nowhere: No such file or directory; ",
      trusting { cert_file = "/nowhere" })
    expect("TLS", "key_file " .. directory:file "ca.key", trusting {
      cert_file = directory:file "leaf.pem", key_file = directory:file "ca.key" })
  end)

  it("keeps its deadlines where the server is frozen", function()
    server = redis_server.start_tls(directory.path, "leaf")
    local one = trusting { timeout = 1, connect_timeout = 600 }
    local new = trusting { timeout = 600, connect_timeout = 1 }
    process.wait_until("a connection", function() return one:set("k", "v") end)
    server.child:freeze()
    for _, frozen in ipairs { one, new } do
      deadline.takes(1, function()
        expect("TIMEOUT", "; try again later, or raise the timeout", frozen)
      end)
    end
    server.child:signal("CONT")
    process.wait_until("an answer", function() return one:get "k" == "v" end)
  end)

  it("says that a server which waits in silence may have no TLS", function()
    server = redis_server.start()
    expect("TIMEOUT", "no TLS handshake in time, as from a server without TLS; ",
      store { connect_timeout = 0.3 })
  end)

  it("tells a server without TLS from one that cannot be trusted", function()
    server = scripted_server.start { { "-ERR no TLS here\r\n" } }
    expect("TLS", "the TLS handshake failed", trusting())
  end)

  it("shares nothing with a forked process", function()
    server = redis_server.start_tls(directory.path, "leaf")
    local one = trusting()
    assert.is_true(one:set("k", "the parent's"))
    for i = 1, 20 do
      local pid = unix.fork()
      if pid == 0 then
        local works = one:set("k" .. i, "the child's") and one:get("k" .. i) == "the child's"
        unix.exit(works and 0 or 1)
      end
      assert.equal(0, unix.wait(pid))
      assert.equal("the parent's", one:get "k")
    end
  end)
end)
