-- What the allocation-failure run does at each step; see alloc.c. To cover more, add to `use`.

-- luacheck: globals directory with_memory

local check = dofile("tests/alloc/judge.lua").check

local path = directory .. "/cache"
local now = 1760000000
local DAY = 86400

--- Stands in for the token endpoint: every token is a new one.
local fetched = 0
local transport = {}
function transport.request()
  fetched = fetched + 1
  local body = ('{"access_token":"token-%d","token_type":"Bearer","expires_in":3600,'
    .. '"scope":"read","nested":{"list":[1,2.5,null,true,"\\u00e9"],'
    .. '"odd":["\\ud83d\255",1e999]}}'):format(fetched)
  return { status = 200, headers = { ["content-type"] = "application/json" }, body = body }
end

local function new_flow(tokencache, cache, clock)
  return tokencache.flow.client_credentials {
    provider = { token_url = "https://127.0.0.1/token", scope_separator = ",",
      grant_types = { client_credentials = "other" }, default_expires_in = 60,
      token_types = { "bot" }, headers = { ["User-Agent"] = "x" },
      on_answer = function(answer) answer.status = 200 end },
    client_id = "client",
    client_secret = "secret-3b1c",
    scope = { "read" },
    cache = cache,
    http = transport,
    clock = clock,
  }
end

--- A token, or an error that says why there is none; `wanted` is a pattern.
local function expect(wanted, token, err)
  if token == nil and (type(err) ~= "table" or type(err.kind) ~= "string") then
    error("WRONG: neither a token nor an error: " .. tostring(err), 0)
  end
  if not tostring(check(token, err)):find(wanted) then
    error("WRONG: token " .. tostring(token), 0)
  end
  return token
end

--- files.lua loads modules while allocations fail.
local function prepare()
  local tokencache = require "tokencache"
  tokencache.set_logger(false)
  for _, name in ipairs { "driver", "flow.client_credentials", "cache.file", "cache.memory" } do
    require("tokencache." .. name)
  end
  return tokencache
end

local function use()
  local tokencache = with_memory(prepare)
  now = now + DAY -- whatever is cached is old
  local function clock()
    return now
  end
  local function later()
    return now + 7200
  end

  local file = tokencache.cache.file { cache_path = path }
  local first = expect("^token%-%d+$", new_flow(tokencache, file, clock):get_access_token())
  local again = tokencache.cache.file { cache_path = path }
  expect("^token%-%d+$", new_flow(tokencache, again, clock):get_access_token())
  local renewed = expect("^token%-%d+$", new_flow(tokencache, file, later):get_access_token())
  if renewed == first then
    error("WRONG: an expired token was returned", 0)
  end

  local memory = tokencache.cache.memory {}
  expect("^token%-%d+$", new_flow(tokencache, memory, clock):get_access_token())
  expect("^token%-%d+$", new_flow(tokencache, memory, clock):get_access_token())
  return file
end

dofile "tests/alloc/luajit.lua"

local function verify()
  local token_info, err = use():get_cached_token()
  if not token_info then
    error("the cache is lost: " .. tostring(err), 0)
  end
  expect("^token%-%d+$", token_info.access_token)
end

local function run()
  with_memory(os.remove, path) -- of the attempt before
  use()
end

return run, verify
