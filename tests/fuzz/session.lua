--- Sessions of strangers. The input's first byte tells what the rest is: a pickle, MessagePack, a
--- cookie as it comes, or a payload that somebody who has the key has signed.

local outcome = require "fuzz.outcome"
local serializers = require "tokencache.session.serializers"
local signing = require "tokencache.session.signing"
local tokencache = require "tokencache"

local KEY, NOW = "secret", 1760000000

local FORMAT = { where = "fuzz", separator = ".", digest = "sha1",
  digits = "0123456789abcdef", key = function(secret) return secret end,
  write_time = function(seconds) return ("%x"):format(seconds) end }

local function clock()
  return NOW
end

--- What is read can be read again, where it can be written.
local function check_bytes(name, bytes)
  local serializer = serializers[name]
  local value, problem = serializer.decode(bytes)
  if value == nil then
    return outcome.check_text(problem)
  end
  local written, reason = serializer.encode(value)
  if not written then
    return outcome.check_text(reason)
  end
  assert(serializer.decode(written) ~= nil, "what was written cannot be read")
end

local function check_session(session, err)
  if not session then
    assert(err.kind == "cache" and err.code)
    return outcome.check_text(err.message)
  end
  local _ = session.token_info
  session.modified = true
  local header, problem = session:set_cookie()
  if problem then
    outcome.check_text(problem.message)
  elseif header then
    assert(not header:find "%c")
  end
  return session
end

local function open(cookie)
  check_session(tokencache.session.flask { secret_key = KEY, cookie = cookie, clock = clock })
  for _, serializer in ipairs { "json", "pickle" } do
    check_session(tokencache.session.django { secret_key = KEY, cookie = cookie, clock = clock,
      engine = "signed_cookies", serializer = serializer })
  end
end

local function open_signed(payload)
  local text = signing.sign(FORMAT, "salt", { KEY }, payload .. "." .. FORMAT.write_time(NOW))
  local bytes, err = signing.open(FORMAT, "salt", { KEY }, text, 60, NOW)
  if not bytes then
    return outcome.check_text(err.message)
  end
  check_bytes("tagged_json", bytes)
end

local kinds = {
  p = function(bytes) check_bytes("pickle", bytes) end,
  m = function(bytes) check_bytes("msgpack", bytes) end,
  s = open_signed,
  c = open,
}

return function(input)
  local check = kinds[input:sub(1, 1)]
  if check then
    check(input:sub(2))
  end
end
