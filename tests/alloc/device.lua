-- A login by another device while allocations fail: the codes, an error that repeats secrets, the
-- token, and the picture of a code.

-- luacheck: globals with_memory

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

local serial = 0
local echoes = false
local TOKEN = '{"access_token":"token","refresh_token":"refresh","expires_in":3600}'

local transport = {}
function transport:request(request) -- luacheck: ignore 212
  local body = TOKEN
  if request.url == "https://as.example/device" then
    serial = serial + 1
    body = ('{"device_code":"device-3b1c-%d","user_code":"WDJB","interval":2,"expires_in":60,'
      .. '"verification_uri":"https://as.example/"}'):format(serial)
  elseif echoes then
    body = ('{"error":"odd secret-51c9","error_description":"device-3b1c-%d"}'):format(serial)
  end
  return { status = 200, headers = {}, body = body }
end

local function prepare()
  local tokencache = require "tokencache"
  tokencache.set_logger(false)
  for _, name in ipairs { "driver", "json", "_crypto", "flow.ungranted" } do
    require("tokencache." .. name)
  end
  local is_there, qrcode = pcall(require, "tokencache._qrcode")
  return tokencache.flow.device {
    provider = { token_url = "https://as.example/token",
      device_authorization_url = "https://as.example/device" },
    client_id = "client", client_secret = "secret-51c9", pending_key = "0123456789abcdef",
    cache = tokencache.cache.memory {}, http = transport,
  }, is_there and qrcode or nil
end

local function log_in(flow)
  local prompt, pending = flow:begin()
  check(prompt, pending)
  expect("WDJB", prompt.user_code)
  return flow:poll(pending)
end

local function use()
  local flow, qrcode = with_memory(prepare)
  echoes = false
  expect("token", check(log_in(flow)).access_token)
  echoes = true
  local _, err = log_in(flow)
  if tostring(err):find("3b1c", 1, true) or tostring(err):find("51c9", 1, true) then
    error("WRONG: " .. tostring(err), 0)
  end
  if qrcode then
    local modules, width = qrcode.encode "https://as.example/device?user_code=WDJB-MJHT"
    expect(width * width, #modules)
  end
end

dofile "tests/alloc/luajit.lua"

return use, use
