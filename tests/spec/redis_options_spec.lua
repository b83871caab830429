-- The options that say which Redis is meant.

local redis = require("tokencache").store.redis

local LIST = { "127.0.0.1:1" }

describe("store.redis", function()
  for problem, options in pairs {
    ["port must be an integer from 1 to 65535"] = { port = 65536 },
    ["path is a Unix socket: leave out host and port"] = { path = "/s", port = 1 },
    ["tls is for host and port, not for a Unix socket"] =
      { path = "/s", tls = true },
    ["db must be an integer"] = { db = 0.5 },
    ["host is empty or holds a NUL byte"] = { host = "a\0b" },
    ["host must be a name or an address, not a URL"] =
      { host = "redis://:hidden@127.0.0.1:6379/0" },
    ["username needs a password"] = { username = "u" },
    ["ca_file and cert_file are for tls = true"] = { ca_file = "f" },
    ["key_file needs a cert_file"] = { key_file = "f", tls = true },
    ["password must be a string or a table or a function, not a number"] =
      { password = 1 },
    ["password must be a text, { file = path }, or a function that returns it"] =
      { password = { path = "x" } },
    ["unknown option passwd"] = { passwd = "x" },
    ["timeout must be a number above zero, not 0"] = { timeout = 0 },
    ["cluster must be a table, not a string; give a list of texts"] = { cluster = "x" },
    ['cluster must be a list of "host:port", from 1 to 16'] = { cluster = {} },
    ['cluster must be a list of "host:port"'] = { cluster = { "nowhere" } },
    ["cluster says where the servers are: leave out host, port and path"] =
      { cluster = LIST, host = "h" },
    ["a cluster has one database: leave out db"] = { cluster = LIST, db = 1 },
    ["a cluster has no sentinels"] = { cluster = LIST, sentinels = LIST, master = "m" },
    ["sentinels must be a table, not a string; give a list of texts"] = { sentinels = "x" },
    ['sentinels must be a list of "host:port", from 1 to 16'] = { sentinels = {}, master = "m" },
    ['sentinels must be a list of "host:port"'] =
      { sentinels = { "redis://h:1" }, master = "m" },
    ["sentinels need master"] = { sentinels = LIST },
    ["sentinels say where the server is: leave out host, port and path"] =
      { sentinels = LIST, master = "m", port = 1 },
    ["sentinel_username needs a sentinel_password"] =
      { sentinels = LIST, master = "m", sentinel_username = "u" },
    ["master is for sentinels"] = { cluster = LIST, master = "m" },
    ["sentinel_tls is for sentinels"] = { sentinel_tls = true },
    ["replicas must be an integer"] = { replicas = 0.5 },
  } do
    it("raises where " .. problem:gsub("%z", ""), function()
      local ok, err = pcall(redis, options)
      assert.is_false(ok)
      assert.truthy(err:find("store.redis: " .. problem, 1, true), err)
      assert.is_nil(err:find("hidden", 1, true))
    end)
  end

  it("connects to nothing until it is used", function()
    assert.truthy(redis { port = 1 })
  end)

  it("is the same store in whichever order its servers are named", function()
    assert.equal("redis:the cluster [::1]:2, a:1/0",
      redis({ cluster = { "a:1", "[::1]:2" } }).identity)
    assert.equal("redis:m of the sentinels [::1]:2, a:1/2",
      redis({ sentinels = { "a:1", "[::1]:2" }, master = "m", db = 2 }).identity)
  end)
end)
