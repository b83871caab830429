local json = require "tokencache.json"
local process = require "support.process"
local tokencache = require "tokencache"

local new = tokencache.flow.client_credentials

local PROVIDER = { token_url = "https://login.example/token" }
local SECRET = "s3cret-of-the-api-spec"

--- Options that are right, but for `changes`; false takes one away.
local function with(changes)
  local options = {
    provider = PROVIDER,
    client_id = "an-id",
    client_secret = SECRET,
    cache = tokencache.cache.memory {},
  }
  for name, value in pairs(changes) do
    options[name] = value or nil
  end
  return options
end

local function provider(changes)
  local options = { token_url = PROVIDER.token_url }
  for name, value in pairs(changes) do
    options[name] = value
  end
  return { provider = options }
end

local function names_of(rules)
  local names = {}
  for name in pairs(rules) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local KNOWN = "ca_file, cache, client_assertion, client_assertion_type, client_certificate, "
  .. "client_id, client_key, client_key_id, client_key_passphrase, client_secret, clock, "
  .. "connect_timeout, dpop, http, io, leeway, provider, proxy, request_time, scope, store, "
  .. "timeout, token_endpoint_auth_method, token_endpoint_auth_signing_alg, token_params"
local NOT_SECURE = "flow.client_credentials: token_url must be https, or http on a loopback "
  .. "address: secrets travel to it (RFC 6749 §3.2); or allow_insecure_http = true in provider, "
  .. "but for flow.implicit"

local flow = new(with {})
local timed = new(with { cache = tokencache.cache.memory {}, clock = os.time })
local A_PROVIDER = "; give { issuer = \"https://...\" }, one of tokencache.provider, or a "
  .. "table with its token_url"

local locks = {
  get_cached_token = function() end,
  save_token_to_cache = function() end,
  try_lock = function() end,
}

--- What a program can get wrong: each mistake on one line, which the message must name.
local mistakes = {
  { function() new() end, "flow.client_credentials: provider is required" .. A_PROVIDER },
  { function() new("x") end, "flow.client_credentials: a table of options expected, got string" },
  { function() new(with { secret = "a" }) end,
    "flow.client_credentials: unknown option secret; known are " .. KNOWN },
  { function() new(with { scopes = "a" }) end,
    "flow.client_credentials: unknown option scopes; did you mean scope?" },
  { function() new(with { clientSecret = "a" }) end,
    "flow.client_credentials: unknown option clientSecret; did you mean client_secret?" },
  { function() new(with { tiemout = 1 }) end,
    "flow.client_credentials: unknown option tiemout; did you mean timeout?" },
  { function() new { issuer = "https://login.example", client_id = "a" } end,
    "flow.client_credentials: issuer is no option here; give provider = { issuer = ... }" },
  { function() new(with { provider = false }) end,
    "flow.client_credentials: provider is required" .. A_PROVIDER },
  { function() new(with { provider = "spotify" }) end,
    "flow.client_credentials: provider must be a table, not a string" .. A_PROVIDER },
  { function() new(with(provider { token_endpoint = "x" })) end,
    "flow.client_credentials: provider: unknown option token_endpoint; known are "
      .. names_of(require("tokencache.provider").rules) },
  { function() new(with { provider = {} }) end,
    "flow.client_credentials: provider: token_url is required, or issuer to find it by" },
  { function() new(with { client_id = false }) end,
    "flow.client_credentials: client_id is required: pass client_id=" },
  { function() new(with { client_id = "" }) end,
    "flow.client_credentials: client_id is required: pass client_id=" },
  { function() new(with { client_id = 7 }) end,
    "flow.client_credentials: client_id must be a string, not a number" },
  { function() new(with { client_id = "a\0b" }) end,
    "flow.client_credentials: client_id has a control character (byte 2 of 3); it may hold "
      .. "printable ASCII only" },
  { function() new(with { client_secret = SECRET .. "\n" }) end,
    "flow.client_credentials: client_secret has a line feed at its end (byte 23 of 23); it may "
      .. "hold printable ASCII only" },
  { function() new(with { scope = { "read", "a\tb" } }) end,
    "flow.client_credentials: scope has a tab (byte 7 of 8); it may hold printable ASCII only" },
  { function() new(with { client_secret = false }) end,
    "flow.client_credentials: client_secret is required: pass client_secret=" },
  { function() new(with { client_secret = {} }) end,
    "flow.client_credentials: client_secret must be a text, { file = path }, or a function that "
      .. "returns it" },
  { function() new(with { scope = 1 }) end,
    "flow.client_credentials: scope must be a string or a table, not a number" },
  { function() new(with { scope = { "a", true } }) end,
    "flow.client_credentials: scope must be a list of strings" },
  { function() new(with { scope = { read = true } }) end,
    "flow.client_credentials: scope must be a list of strings" },
  { function() new(with { scope = { "a", nil, "c" } }) end,
    "flow.client_credentials: scope must be a list of strings" },
  { function() new(with(provider { environment = { client_id = {} } })) end,
    "flow.client_credentials: provider: environment must map options that are strings to names of "
      .. "variables; mend client_id" },
  { function() new(with(provider { environment = { leeway = "HOME" } })) end,
    "flow.client_credentials: provider: environment must map options that are strings to names of "
      .. "variables; mend leeway" },
  { function() new(with { token_endpoint_auth_method = "basic" }) end,
    "flow.client_credentials: token_endpoint_auth_method: basic is not supported; it must be "
      .. "client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, "
      .. "tls_client_auth, self_signed_tls_client_auth or none" },
  { function() new(with { client_secret = false, token_endpoint_auth_method = "private_key_jwt" })
    end, "flow.client_credentials: client_key is required: pass client_key=" },
  { function() new(with(provider { token_endpoint_auth_method = "basic" })) end,
    "flow.client_credentials: token_endpoint_auth_method: basic is not supported; it must be "
      .. "client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, "
      .. "tls_client_auth, self_signed_tls_client_auth or none" },
  { function() new(with { client_key = {} }) end, "flow.client_credentials: client_key must be a "
    .. "text, { file = path }, or a function that returns it" },
  { function() new(with { client_key = { file = "k" }, client_assertion = "a" }) end,
    "flow.client_credentials: give client_key or client_assertion, not both" },
  { function() new(with { token_params = { grant_type = "password" } }) end,
    "flow.client_credentials: token_params must not set grant_type, which the flow sets itself" },
  { function() new(with { token_params = { audience = 1 } }) end,
    "flow.client_credentials: token_params must map names to strings, or to lists of "
      .. "strings" },
  { function() new(with { token_params = { audience = { "a", 1 } } }) end,
    "flow.client_credentials: token_params must map names to strings, or to lists of "
      .. "strings" },
  { function() new(with { token_params = { "audience" } }) end,
    "flow.client_credentials: token_params must map names to strings, or to lists of "
      .. "strings" },
  { function() new(with { leeway = -1 }) end,
    "flow.client_credentials: leeway must be a number, zero or more, not -1" },
  { function() new(with { timeout = 0 }) end,
    "flow.client_credentials: timeout must be a number above zero, not 0" },
  { function() new(with { timeout = -(0 / 0) }) end,
    "flow.client_credentials: timeout must be a number above zero, not NaN" },
  { function() new(with { timeout = 0 / 0 }) end,
    "flow.client_credentials: timeout must be a number above zero, not NaN" },
  { function() new(with { store = "tokens" }) end,
    "flow.client_credentials: store must be a table or userdata, not a string; give one of "
      .. "tokencache.store" },
  { function() new(with { timeout = "30" }) end,
    "flow.client_credentials: timeout must be a number above zero, not a string" },
  { function() new(with { connect_timeout = -1 }) end,
    "flow.client_credentials: connect_timeout must be a number above zero, not -1" },
  { function() new(with { proxy = 1 }) end,
    "flow.client_credentials: proxy must be a string, not a number" },
  { function() new(with { ca_file = true }) end,
    "flow.client_credentials: ca_file must be a string, not a boolean" },
  { function() new(with { clock = 1 }) end,
    "flow.client_credentials: clock must be a function, not a number" },
  { function() new(with { http = "curl" }) end,
    "flow.client_credentials: http must be a table or userdata, not a string" },
  { function() new(with {}).get_access_token() end,
    "get_access_token: call it on a flow, with a colon" },
  { function() new(with {}).is_token_expired({}) end,
    "is_token_expired: call it on a flow, with a colon" },
  { function() new(with { http = {} }) end,
    "flow.client_credentials: http has no method request; see docs/transports.md" },
  { function() new(with { io = { slep = os.time } }) end,
    "flow.client_credentials: io: unknown option slep; did you mean sleep?" },
  { function() new(with { io = { sleep = 1 } }) end,
    "flow.client_credentials: io: sleep must be a function, not a number" },
  { function() new(with { cache = ".cache" }) end,
    "flow.client_credentials: cache must be a table or userdata, not a string; give one of "
      .. "tokencache.cache, such as tokencache.cache.file { cache_path = ... }" },
  { function() new(with { cache = { get_cached_token = os.time } }) end,
    "flow.client_credentials: cache has no method save_token_to_cache; use one of "
      .. "tokencache.cache, or give yours both methods" },
  { function() new(with { cache = locks }) end,
    "flow.client_credentials: cache has no method unlock; what has try_lock must release it" },
  { function() new(with(provider { token_url = "http://login.example/token" })) end, NOT_SECURE },
  { function() new(with(provider { token_url = "https://login.example/token#x" })) end,
    "flow.client_credentials: token_url must not have a fragment (RFC 6749 §3.2)" },

  { function() flow:get_access_token { chek_cache = false } end,
    "get_access_token: unknown option chek_cache; did you mean check_cache?" },
  { function() timed:get_access_token { check_cache = 1 } end,
    "get_access_token: check_cache must be a boolean, not a number" },
  { function() flow:get_access_token("now") end,
    "get_access_token: a table of options expected, got string" },
  { function() flow:get_access_token(5) end,
    "get_access_token: a table of options expected, got number" },
  { function() timed:get_access_token(5) end,
    "get_access_token: a table of options expected, got number" },
  { function() flow:get_token_info { timeout = -1 } end,
    "get_token_info: timeout must be a number above zero, not -1" },
  { function() flow:is_token_expired() end,
    "is_token_expired: token_info must be a table, not nil" },

  { function() local _ = tokencache.cache.memcache end,
    "tokencache.cache has no memcache; there is django_session, file, flask_session, from_store, "
      .. "memcached, memory, redis, resty_session, tiered" },
  { function() local _ = tokencache.flow.clientcredentials end,
    "tokencache.flow has no clientcredentials; there is authorization_code, "
      .. "client_credentials, device, grant, implicit, jwt_bearer, pkce, token_exchange" },
  { function() local _ = tokencache.provider.nobody end,
    "tokencache.provider has no nobody; there is atlassian, auth0, discord, dropbox, github, "
      .. "gitlab, google, keycloak, microsoft, okta, reddit, slack, spotify, strava, twitch, "
      .. "zoom" },
  { function() local _ = tokencache.store.dict end,
    "tokencache.store has no dict; there is encrypted, file, memcached, memory, redis, "
      .. "secret_service, shared_dict, tiered" },
  { function() local _ = tokencache.nginx.logn end,
    "tokencache.nginx has no logn; there is login, metrics, owed, upstream" },
  { function() tokencache.nginx.login {} end, "tokencache.nginx.login works in nginx only" },
  { function() tokencache.nginx.metrics() end, "tokencache.nginx.metrics works in nginx only" },
  { function() tokencache.set_logger("stderr") end,
    "set_logger: a function expected, or nil for the default, or false for silence; got string" },
  { function() tokencache.set_observer({}) end,
    "set_observer: a function expected, or nil or false for none; got table" },

  { function() tokencache.cache.memory { token_info = "x" } end,
    "cache.memory: token_info must be a table, not a string" },
  { function() tokencache.cache.file { path = "x" } end,
    "cache.file: unknown option path; known are allow_foreign, cache_path, follow_symlink, "
    .. "username" },
  { function() tokencache.cache.file { cache_path = "" } end, "cache.file: cache_path is empty" },
  { function() tokencache.cache.file { username = "a/b" } end,
    "cache.file: username holds a slash or a NUL byte; for a file elsewhere give cache_path" },
}

describe("a mistake", function()
  for i, mistake in ipairs(mistakes) do
    it(("%d is named, and its line: %s"):format(i, mistake[2]), function()
      local ok, message = pcall(mistake[1])
      assert.is_false(ok)
      local line = debug.getinfo(mistake[1], "S").linedefined
      assert.equal(("tests/spec/api_spec.lua:%d: %s"):format(line, mistake[2]), message)
      assert.is_nil(message:find(SECRET, 1, true))
    end)
  end

  for what, url in pairs {
    ["no URL"] = "login.example/token",
    ["no host"] = "https:///token",
    ["a blank"] = "https://a b/",
    ["userinfo"] = "https://id:" .. SECRET .. "@login.example/token",
  } do
    it("in token_url (" .. what .. ") is named without quoting it", function()
      local ok, message = pcall(new, with(provider { token_url = url }))
      assert.is_false(ok)
      assert.matches("flow.client_credentials: token_url: ", message, 1, true)
      assert.is_nil(message:find(SECRET, 1, true))
    end)
  end

  for _, name in ipairs { "client_id", "client_secret", "scope", "code", "redirect_uri",
    "code_verifier", "refresh_token" } do
    it("in token_params (" .. name .. ") is named without its value", function()
      local ok, message = pcall(new, with { token_params = { [name] = SECRET } })
      assert.is_false(ok)
      assert.matches("token_params must not set " .. name .. ",", message, 1, true)
      assert.is_nil(message:find(SECRET, 1, true))
    end)
  end
end)

describe("options", function()
  it("are copied: the caller's tables stay as they are, metatables too", function()
    local io = setmetatable({}, { __index = { sleep = function() end } })
    local meta = getmetatable(io)
    local options = with { io = io }
    local flow_of_copy = new(options)
    assert.equal(meta, getmetatable(io))
    assert.is_nil(next(io))
    options.client_id, options.provider.token_url = "changed", PROVIDER.token_url
    assert.equal("tokencache.flow.client_credentials: an-id", tostring(flow_of_copy))
  end)

  it("may be callable tables where a function is due", function()
    local clock = setmetatable({}, { __call = function() return 1000 end })
    local at_1000 = new(with { clock = clock })
    assert.is_false(at_1000:is_token_expired { expires_at = 1060 })
    assert.is_true(at_1000:is_token_expired { expires_at = 1059 })
  end)

  for time, shown in pairs {
    [1e300] = "1e+300", [-1] = "-1", [253402300800] = "253402300800", [math.huge] = "inf",
    soon = "a string", NaN = "NaN", none = "nil",
  } do
    it("that tell the time are named when they go wrong: " .. shown, function()
      local function clock()
        if time == "NaN" then
          return 0 / 0
        end
        return time ~= "none" and time or nil
      end
      for name, options in pairs {
        clock = { clock = clock }, ["io.now"] = { io = { now = clock } },
      } do
        local lost = new(with(options))
        for _, call in ipairs {
          function() lost:get_access_token() end,
          function() lost:is_token_expired { expires_at = 1 } end,
        } do
          assert.has_error(call, name .. " must return Unix seconds, not " .. shown)
        end
      end
    end)
  end

  it("decide by leeway when a token counts as expired", function()
    local function clock() return 1000 end
    local strict = new(with { clock = clock, leeway = 0 })
    assert.is_false(strict:is_token_expired { expires_at = 1000 })
    assert.is_true(strict:is_token_expired { expires_at = 999 })
    assert.is_false(strict:is_token_expired {})
    assert.is_true(strict:is_token_expired { expires_at = "999" })
  end)

  for _, ends in ipairs { "soon", "2020-01-01T00:00:00Z", -1e300, 0 / 0, {}, true } do
    it("take a token whose end cannot be read for expired: " .. tostring(ends), function()
      local asked = with { cache = tokencache.cache.memory {
        token_info = { access_token = "old", expires_at = ends } } }
      asked.http = { request = function()
        return { status = 200, body = '{"access_token":"new","expires_in":3600}' }
      end }
      assert.is_true(new(asked):is_token_expired { expires_at = ends })
      assert.equal("new", new(asked):get_access_token())
    end)
  end

  for _, ends in ipairs { math.huge, 1e300, json.null } do
    it("take it for one that does not expire where it has no end: " .. tostring(ends), function()
      assert.is_false(new(with {}):is_token_expired { expires_at = ends })
    end)
  end
end)

describe("validate_token", function()
  local judge = new(with { clock = function() return 1000 end, scope = "a b" })

  local function info(changes)
    local token_info = {
      access_token = "t", expires_at = 2000, scope = "b a c", client_id = "an-id",
    }
    for name, value in pairs(changes) do
      token_info[name] = value or nil
    end
    return token_info
  end

  it("gives back what serves", function()
    for _, changes in ipairs { {}, { client_id = false }, { expires_at = false },
      { scope = "x", requested_scope = "a b" } } do
      local token_info = info(changes)
      assert.equal(token_info, judge:validate_token(token_info))
    end
  end)

  it("gives nil for what does not", function()
    for _, changes in ipairs { { expires_at = 1059 }, { scope = "a" }, { scope = false },
      { client_id = "another" }, { access_token = "" }, { access_token = 7 },
      { refresh_token = "a login" } } do
      assert.is_nil(judge:validate_token(info(changes)))
    end
    assert.is_nil(judge:validate_token(nil))
    assert.is_nil(judge:validate_token("t"))
  end)
end)

describe("secrets", function()
  it("are not to be found in a flow, however deep one looks", function()
    local seen = {}
    local function look(value, path)
      assert.is_nil(tostring(value):find(SECRET, 1, true), path)
      if type(value) ~= "table" or seen[value] then
        return
      end
      seen[value] = true
      look(debug.getmetatable(value), path .. "(meta)")
      for name, member in pairs(value) do
        look(name, path)
        look(member, path .. "." .. tostring(name))
      end
    end
    for _, changes in ipairs { {}, { token_endpoint_auth_method = "client_secret_post" } } do
      look(new(with(changes)), "flow")
    end
    assert.is_true(seen[debug.getmetatable(flow)])
  end)

  it("are not in tostring of a handler that holds a token", function()
    local token_info = { access_token = SECRET }
    assert.equal("tokencache.cache.memory", tostring(tokencache.cache.memory {
      token_info = token_info }))
    local session = tokencache.cache.flask_session { session = { token_info = token_info } }
    assert.is_nil(tostring(session):find(SECRET, 1, true))
    assert.equal("tokencache.cache: x", tostring(tokencache.cache.file { cache_path = "x" }))
  end)
end)

describe("require \"tokencache\"", function()
  local MARK = "/the_mark_of_the_api_spec"

  --- Runs code and lists what it opened, connected to or changed, but for modules.
  local function calls_of(code)
    local directory = process.temporary_directory()
    local command = process.lua([[
      io.open("]] .. MARK .. [[")
      ]] .. code .. [[

      io.open("]] .. MARK .. [[")]])
    local traced = { "strace", "-f", "-qq", "-o", directory .. "/log",
      "-e", "trace=?open,openat,?creat,?unlink,unlinkat,?rename,renameat2,?mkdir,%network,write" }
    for _, word in ipairs(command) do
      traced[#traced + 1] = word
    end
    local status, output = process.run(traced)
    assert.equal(0, status, output)
    local text = process.read_file(directory .. "/log")
    process.remove_directory(directory)
    local between = assert(text:match(MARK .. "[^\n]*\n(.*)\n[^\n]*" .. MARK), text)
    local calls, modules = {}, 0
    for line in between:gmatch("[^\n]+") do
      if line:find("tokencache") then
        modules = modules + 1
      else
        calls[#calls + 1] = line
      end
    end
    assert.is_true(modules > 0)
    return calls
  end

  it("opens nothing but its own modules", function()
    assert.same({}, calls_of [[require "tokencache"]])
  end)

  local function run(code)
    local status, output = process.run(process.lua(code))
    assert.equal(0, status, output)
    return output
  end

  it("loads nothing that is not needed", function()
    assert.equal("tokencache tokencache.environment tokencache.log tokencache.nginx.settings "
      .. "tokencache.observer tokencache.util.lazy\n", run [[
      require "tokencache"
      local names = {}
      for name in pairs(package.loaded) do
        if name:find("^tokencache") then names[#names + 1] = name end
      end
      table.sort(names)
      print(table.concat(names, " "))]])
  end)

  it("leaves libcurl and JSON until they are used, also for a flow over memory", function()
    assert.equal("token nil nil\n", run [[
      local tokencache = require "tokencache"
      local flow = tokencache.flow.client_credentials {
        provider = tokencache.provider.spotify, client_id = "i", client_secret = "s",
        cache = tokencache.cache.memory { token_info = { access_token = "token" } },
      }
      print(flow:get_access_token(), package.loaded["tokencache._http"],
        (package.loaded["tokencache._json"]))]]:gsub("\t", " "))
  end)

  it("makes no globals, whatever is used of it", function()
    assert.equal("access-1\n", run [[
      setmetatable(_G, {
        __newindex = function(_, name) error("global " .. name, 2) end,
        __index = function(_, name) error("no global " .. name, 2) end,
      })
      local tokencache = require "tokencache"
      local flow = tokencache.flow.client_credentials {
        provider = tokencache.provider.spotify, client_id = "i", client_secret = "s",
        cache = tokencache.cache.memory {},
        http = { request = function()
          return { status = 200, body = '{"access_token":"access-1"}' }
        end },
      }
      require("tokencache.transport.curl").new {}
      require "tokencache._http"
      print((flow:get_access_token()))]])
  end)
end)
