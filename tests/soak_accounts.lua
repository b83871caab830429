-- Usage: lua5.4 tests/soak_accounts.lua CALLS
-- Asks for the tokens of 10,000 logins in turn, most of them in memory and some in files. Each is
-- renewed thirty times, at a provider that gives each refresh token once, and a save fails now and
-- then. After half of that (the process keeps the last spent refresh tokens of each login) memory
-- and descriptors must not grow. No refresh token may be sent twice, and at the end nothing may be
-- owed.

local core = require "tokencache._core"
local footprint = require "support.footprint"
local json = require "tokencache.json"
local log = require "tokencache.log"
local process = require "support.process"
local process_state = require "tokencache.account.process"
local tokencache = require "tokencache"

local calls = tonumber(arg[1]) or 1000000
local USERS, IN_FILES, RENEWALS, FAILING = 10000, 500, 30, 500
local HEAP_GROWTH, MEMORY_GROWTH = 1024, 4096 -- KiB; of some 100,000, which malloc cuts up

local now = 1000000
local saves, failures, fails = 0, 0, true

log.set_logger(function() end)

-- the provider ------------------------------------------------------------------------------------

local valid, issued, replayed = {}, 0, 0 -- by refresh token: true where it works

local function new_login()
  issued = issued + 1
  valid["refresh-" .. issued] = true
  return { access_token = "access-" .. issued, refresh_token = "refresh-" .. issued,
    token_type = "Bearer", expires_in = 3600 }
end

local function request(_, asked)
  local sent = asked.body:match("refresh_token=([%w-]+)")
  local known = valid[sent]
  valid[sent] = nil
  if not known then
    replayed = replayed + 1
  end
  return { status = known and 200 or 400, headers = {},
    body = json.encode(known and new_login() or { error = "invalid_grant" }) }
end

-- the stores --------------------------------------------------------------------------------------

--- Every FAILING-th save says that it has failed, by whichever method.
local function failing_at_times(store)
  local proxy = {}
  for _, name in ipairs { "set", "replace" } do
    proxy[name] = function(_, ...)
      saves = saves + 1
      if fails and saves % FAILING == 0 then
        failures = failures + 1
        return nil, "the disk is full"
      end
      return store[name](store, ...)
    end
  end
  for _, name in ipairs { "get", "delete", "try_lock", "extend_lock", "unlock", "can_save" } do
    proxy[name] = store[name] and function(_, ...) return store[name](store, ...) end
  end
  return proxy
end

local function new_flow(store)
  return tokencache.flow.authorization_code {
    provider = { token_url = "https://login.example/token",
      authorize_url = "https://login.example/authorize" },
    client_id = "soak", client_secret = "secret", redirect_uri = "https://app.example/callback",
    authorize = false, store = failing_at_times(store), http = { request = request },
    clock = function() return now end,
  }
end

local directory = process.temporary_directory()
local in_memory = tokencache.store.memory()
local in_files = tokencache.store.file { directory = directory }
local memory_flow, file_flow = new_flow(in_memory), new_flow(in_files)

local flows, keys = {}, {}
for i = 1, USERS do
  local is_in_file = i % (USERS / IN_FILES) == 0
  flows[i], keys[i] = is_in_file and file_flow or memory_flow, "user:" .. i
  local login = new_login()
  login.client_id, login.expires_at, login.scope = "soak", now + 3600, ""
  assert(tokencache.cache.from_store(is_in_file and in_files or in_memory, keys[i])
    :save_token_to_cache(login))
end

-- the calls ---------------------------------------------------------------------------------------

local function ask(count)
  for call = 1, count do
    local i = call % USERS + 1
    assert(flows[i]:account(keys[i]):get_access_token())
  end
end

--- Measures when nothing is owed: who owes a token to a file keeps its lock open.
local function measure()
  fails = false
  ask(USERS)
  fails = true
  return { heap = footprint.heap(), memory = footprint.memory(),
    descriptors = footprint.descriptors() }
end

local start, settled = core.monotonic(), nil
for period = 1, RENEWALS do
  now = now + 7200
  ask(math.floor(calls / RENEWALS))
  if period == RENEWALS / 2 then
    settled = measure()
  end
end
local ended = measure()
local heap, memory = ended.heap - settled.heap, ended.memory - settled.memory
local opened = ended.descriptors - settled.descriptors
local seconds = core.monotonic() - start

process.remove_directory(directory)
print(("%d calls in %.0f s, %d renewals, %d saves failed, %d refresh tokens sent twice, %d owed; "
  .. "of %d KiB Lua's heap grew by %d and memory by %d, %d descriptors opened"):format(calls,
  seconds, issued - USERS, failures, replayed, process_state.own.owing, settled.memory,
  math.floor(heap), memory, opened))
os.exit(heap <= HEAP_GROWTH and memory <= MEMORY_GROWTH and opened == 0 and replayed == 0
  and failures > 0 and process_state.own.owing == 0)
