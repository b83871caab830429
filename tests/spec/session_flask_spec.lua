-- Flask's signed cookie: what Flask has written is read, and what is written here Flask reads.

local crypto = require "tokencache.crypto"
local json = require "tokencache.json"
local logins = require "support.logins"
local process = require "support.process"
local python_sessions = require "support.python_sessions"
local stages = require "support.stage"
local tokencache = require "tokencache"

local SECRET = "dev-secret"
local TOKEN = { access_token = "BQD\195\164-x", token_type = "Bearer", expires_in = 3600,
  refresh_token = "RT-1", scope = "a b", expires_at = 1800000000 }

local vectors = json.decode(process.read_file "tests/fixtures/sessions/flask_signed_cookie.json")
  .vectors

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function open(vector, more)
  local opts = { secret_key = bytes_of(vector.secret_key_hex), cookie = vector.cookie,
    clock = function() return vector.timestamp end }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  return tokencache.session.flask(opts)
end

local function failure(...)
  local session, err = open(...)
  assert.is_nil(session)
  assert.equal("cache", err.kind)
  assert.is_nil(err.message:find("RT-1", 1, true))
  return err.code
end

--- The same with another text, signed as Flask would.
local function signed_alone(vector, text)
  local core = require "tokencache._core"
  local key = crypto.hmac("sha1", bytes_of(vector.secret_key_hex)):digest "cookie-session"
  return { secret_key_hex = vector.secret_key_hex, timestamp = vector.timestamp,
    cookie = text .. "." .. core.base64url_encode(crypto.hmac("sha1", key):digest(text)) }
end

--- The same with another payload.
local function signed(vector, payload, time)
  return signed_alone(vector, payload .. "."
    .. (time or vector.cookie:match "%.([%w_-]+)%.[%w_-]+$"))
end

local function base64(bytes)
  return require("tokencache._core").base64url_encode(bytes)
end

describe("a cookie of Flask's", function()
  for _, vector in ipairs(vectors) do
    it("is read, and written byte for byte: " .. vector.name, function()
      local session = assert(open(vector))
      assert.same(vector.session.token_info, session.token_info)
      assert.is_false(session.modified)
      assert.is_nil(session:set_cookie())
      session.token_info = session.token_info
      assert.equal(vector.set_cookie, session:set_cookie())
    end)
  end

  it("keeps the token of a handler", function()
    local session = assert(open(vectors[1]))
    local cache = tokencache.cache.flask_session { session = session }
    local info = assert(cache:get_cached_token())
    assert.equal("RT-1", info.refresh_token)
    info.refresh_token = "RT-2"
    assert(cache:save_token_to_cache(info))
    local value = python_sessions.value(session:set_cookie())
    assert.equal("RT-2", assert(open(vectors[1], { cookie = value })).token_info.refresh_token)
  end)

  it("keeps an object that looks like a tag", function()
    local session = assert(open(vectors[1], { cookie = "" }))
    session.odd = { [" t"] = { 1, { [" di"] = { x = json.null } } } }
    local value = python_sessions.value(session:set_cookie())
    local again = assert(open(vectors[1], { cookie = value }))
    assert.same({ [" t"] = { 1, { [" di"] = { x = json.null } } } }, again.odd)
  end)

  it("is removed when nothing is left in the session", function()
    local session = assert(open(vectors[1]))
    session.token_info, session._permanent = nil, nil
    assert.equal("session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Path=/",
      session:set_cookie())
  end)

  it("is signed by the first of several keys, and read by all", function()
    local rotated = assert(open(vectors[1], { secret_key = { "new", SECRET } }))
    rotated.modified = true
    local value = python_sessions.value(rotated:set_cookie())
    assert(open(vectors[1], { secret_key = "new", cookie = value }))
    assert.equal("BAD_SIGNATURE", failure(vectors[1], { cookie = value }))
  end)

  it("that cannot be trusted is an error that tells why", function()
    local vector = vectors[1]
    local payload, rest = vector.cookie:match "^(%.?[^.]+)(%..*)$"
    local now = vector.timestamp
    local function at(time) return { clock = function() return time end } end
    assert.equal("BAD_SIGNATURE", failure(vector, { secret_key = "other" }))
    assert.equal("BAD_SIGNATURE", failure(vector, { salt = "other" }))
    assert.equal("BAD_SIGNATURE", failure(vector, { cookie = payload:gsub("%w$", "0") .. rest }))
    assert.equal("BAD_SIGNATURE", failure(vector, { cookie = vector.cookie:sub(1, -2) }))
    assert.equal("EXPIRED", failure(vector, at(now + 31 * 86400 + 1)))
    assert.equal("FUTURE", failure(vector, at(now - 61)))
    assert.equal("BAD_SIGNATURE", failure(vector, { cookie = "x" }))
    assert.equal("BAD_SIGNATURE", failure(vector, { cookie = payload }))
    assert.equal("DAMAGED", failure(signed_alone(vector, "payload")))
    for _, time in ipairs { "", "A=AA", "AAAAAAAAA" } do
      assert.equal("DAMAGED", failure(signed(vector, payload, time)))
    end
    assert.equal("DAMAGED", failure(signed(vector, "a+b")))
    assert.equal("TRUNCATED", failure(signed(vector, payload:sub(1, 41))))
    assert.equal("DAMAGED", failure(signed(vector, "." .. base64 "no zlib")))
    assert.equal("DAMAGED", failure(signed(vector, base64 "no json")))
    assert.equal("DAMAGED", failure(signed(vector, base64 "[1]")))
    assert.equal("DAMAGED", failure(signed(vector, base64 '"text"')))
    local bomb = require("tokencache._zlib").pack(("a"):rep(2 ^ 24))
    assert.equal("TOO_LARGE", failure(signed(vector, bomb)))
    assert.equal("TOO_LARGE", failure(vector, { cookie = ("a"):rep(2 ^ 20 + 1) }))
    local deep = ('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000)
    assert.equal("DAMAGED", failure(signed(vector, base64(deep))))
  end)

  it("that is too large for browsers is an error, and nothing is cut", function()
    local session = assert(open(vectors[1], { cookie = "" }))
    session.token_info = { access_token = base64(crypto.random(4000)) }
    local text, err = session:set_cookie()
    assert.is_nil(text)
    assert.equal("TOO_LARGE", err.code)
  end)

  it("without room for a longer token spends none, and loses none", function()
    local stage = stages.new()
    logins.rotate(stage)
    for _, lock in ipairs { false, tokencache.store.memory() } do
      local function open_with(length, login)
        local session = assert(tokencache.session.flask { secret_key = SECRET })
        session.filling, session.token_info = base64(crypto.random(length)), login
        assert(session:set_cookie())
        local handler = tokencache.cache.flask_session { session = session, lock = lock or nil }
        return session, stage:user_flow { cache = handler }
      end
      local full, flow = open_with(2850, logins.LOGIN)
      local sent = #stage.requests
      local token, err = flow:get_access_token()
      assert.is_nil(token)
      assert.equal("cache", err.kind)
      assert.equal(sent, #stage.requests)
      assert.same(logins.LOGIN, full.token_info)
      full.filling = nil -- what the application can do
      assert.matches("^access%-", flow:get_access_token())
      assert(full:set_cookie())
      flow = select(2, open_with(2850, { access_token = "soon", refresh_token = "x",
        expires_at = stage.now + 30 }))
      assert.equal("soon", flow:get_access_token())
      assert.equal(sent + 1, #stage.requests)
      local some
      some, flow = open_with(2700, { access_token = "x", refresh_token = "y", expires_at = 1 })
      assert.matches("^access%-", flow:get_access_token())
      assert(some:set_cookie())
    end
  end)

  it("that is full can still forget its token", function()
    local session = assert(tokencache.session.flask { secret_key = SECRET })
    session.filling, session.token_info = base64(crypto.random(2850)), TOKEN
    assert(tokencache.cache.flask_session { session = session }:remove_cached_token())
    assert.is_nil(session.token_info)
  end)

  it("wants a secret key, and names that fit into a header", function()
    local function wrong(message, opts)
      local ok, problem = pcall(tokencache.session.flask, opts)
      assert.is_false(ok)
      assert.matches(message, problem, 1, true)
    end
    wrong("secret_key is required", {})
    wrong("secret_key must be", { secret_key = "" })
    wrong("secret_key must be", { secret_key = {} })
    wrong("cookie_name", { secret_key = "a", cookie_name = "a;b" })
    wrong("path", { secret_key = "a", path = "/\r\nX: y" })
    assert.equal("tokencache.session", tostring(tokencache.session.flask { secret_key = "a" }))
  end)
end)

describe("beside a running Flask #once", function()
  local python

  setup(function() python = python_sessions.start() end)
  teardown(function() python:stop() end)

  local function ask(more)
    more.app = more.app or { SECRET_KEY = SECRET }
    return python:ask(more)
  end

  local function session_of(answer, more)
    local opts = { secret_key = SECRET, cookie = python_sessions.value(answer.set_cookie) }
    for name, value in pairs(more or {}) do
      opts[name] = value
    end
    return assert(tokencache.session.flask(opts))
  end

  it("each reads what the other has renewed, with all that is beside it", function()
    local first = ask { token = TOKEN, permanent = true, values = {
      nested = { { a = { "\226\130\172" } } }, empty = {}, none = json.null, half = 0.5,
    }, python = {
      tuple = "(1, 'x', (2,))", bytes = "b'\\x00\\xff'", uuid = "uuid.UUID(int=5)",
      markup = "markupsafe.Markup('<b>')", tag = "{' t': [1]}", big = "2**62", list = "[]",
      date = "datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)",
    } }
    local session = session_of(first)
    assert.same(TOKEN, session.token_info)
    session.token_info = { access_token = "new \226\130\172", refresh_token = "RT-2",
      scope = json.null, expires_at = 1800000001 }
    local header = session:set_cookie()
    assert.matches("Expires=", header, 1, true)
    local second = ask { cookie = header:match "^[^;]*" }
    assert.same({ access_token = "new \226\130\172", refresh_token = "RT-2", scope = json.null,
      expires_at = 1800000001 }, second.token)
    local function others(answer)
      return (answer.shown:gsub("%('token_info', %b{}%)", ""))
    end
    assert.equal(others(first), others(second))
  end)

  it("cookies of 3,900 bytes pass", function()
    local first = ask { token = { access_token = base64(crypto.random(2820)) } }
    assert.is_true(#first.set_cookie > 3850 and #first.set_cookie < 4000, #first.set_cookie)
    local session = session_of(first)
    session.modified = true
    local second = ask { cookie = session:set_cookie():match "^[^;]*" }
    assert.equal(first.token.access_token, second.token.access_token)
  end)

  it("Flask sees a new session of ours, and not one of another key", function()
    local session = assert(tokencache.session.flask { secret_key = SECRET })
    session.token_info = TOKEN
    local cookie = session:set_cookie():match "^[^;]*"
    assert.same(TOKEN, ask { cookie = cookie }.token)
    local third = ask { cookie = cookie, token = { access_token = "third" } }
    assert.same({ access_token = "third" }, session_of(third).token_info)
    assert.equal(json.null, ask { cookie = cookie, app = { SECRET_KEY = "other" } }.token)
  end)
end)
