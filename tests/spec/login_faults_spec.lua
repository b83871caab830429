-- Logins where there are no random bytes, or libcrypto fails. It never does, so it is played.

local crypto = require "tokencache._crypto"
local errors = require "tokencache.error"
local stages = require "support.stage"
local tokencache = require "tokencache"

local at_end = require("support.at_end")()

local KEY = "0123456789abcdef"
local CRYPTO, REDIRECT = "tokencache._crypto", "tokencache._redirect"

local function refuse()
  return nil, errors.new("transient", "no entropy")
end

--- Puts `replacement` in the place of a module; a string: it cannot be loaded, and why.
local function replace_module(name, replacement)
  local original = package.loaded[name]
  package.loaded[name] = type(replacement) == "table" and replacement or nil
  package.preload[name] = type(replacement) == "string" and function()
    error(replacement .. "\nand more", 0)
  end or nil
  at_end(function()
    package.loaded[name], package.preload[name] = original, nil
  end)
end

--- libcrypto, but for one function.
local function break_crypto(name)
  replace_module(CRYPTO, setmetatable({ [name] = refuse }, { __index = crypto }))
end

local function assert_fails(kind, message, result, err)
  assert.is_nil(result)
  assert.equal(kind, err.kind)
  assert.matches(message, tostring(err), 1, true)
end

local function new(changes)
  return stages.new():user_flow(changes)
end

describe("get_authorize_url", function()
  after_each(function()
    tokencache.set_logger(nil)
  end)

  for what, random in pairs {
    ["nothing"] = function() end, ["no string"] = function() return 7 end,
    ["too few"] = function(count) return ("x"):rep(count - 1) end,
    ["too many"] = function(count) return ("x"):rep(count + 1) end,
  } do
    it("returns an error where io.random returns " .. what, function()
      for _, state in ipairs { false, "mine" } do -- the state alone, the verifier alone
        local flow = new { io = { random = random }, pkce = true, state = state or nil }
        assert_fails("config", "io.random must return a string of as many bytes as it is asked for",
          flow:get_authorize_url())
      end
    end)
  end

  it("returns the error of io.random", function()
    assert_fails("transient", "no entropy", new({ io = { random = refuse } }):get_authorize_url())
    local broken = function() return nil, "no device" end
    assert_fails("config", "no device", new({ io = { random = broken } }):get_authorize_url())
  end)

  for _, name in ipairs { "random", "sha256", "seal" } do
    it("returns the error of libcrypto's " .. name, function()
      break_crypto(name)
      local flow = new { pkce = true, pending_key = KEY }
      assert_fails("transient", "no entropy", flow:get_authorize_url())
      assert_fails("state", "begun no login", flow:get_access_token { response_url = "?code=1" })
    end)
  end

  it("returns an error where libcrypto is missing", function()
    replace_module(CRYPTO, "libcrypto.so.3: cannot open")
    local url, err = new():get_authorize_url()
    assert_fails("config", "libcrypto cannot be loaded", url, err)
    assert.equal("libcrypto cannot be loaded; install it: libcrypto.so.3: cannot open",
      tostring(err))
  end)
end)

describe("exchange", function()
  local function sealed()
    local flow = new { pending_key = KEY, state = "mine" }
    local _, pending = flow:get_authorize_url()
    return flow, pending
  end

  it("took a failing libcrypto for a forged pending", function()
    local flow, pending = sealed()
    break_crypto("open")
    assert_fails("transient", "no entropy", flow:exchange("?code=1&state=mine", pending))
  end)

  it("tells of a missing libcrypto", function()
    local flow, pending = sealed()
    replace_module(CRYPTO, "no such file")
    assert_fails("config", "libcrypto cannot be loaded",
      flow:exchange("?code=1&state=mine", pending))
  end)
end)

describe("a login without random bytes", function()
  --- May log in, but for `io.random`.
  local function willing(changes)
    changes.io = { random = refuse }
    local flow = new(changes)
    flow.may_log_in = true
    return flow
  end

  it("asks no function of the program's", function()
    local asked = 0
    local flow = willing { authorize = function() asked = asked + 1 end }
    assert_fails("transient", "no entropy", flow:get_access_token())
    assert.equal(0, asked)
  end)

  it("waits for nothing to be pasted", function()
    assert_fails("transient", "no entropy", willing({ open_browser = false }):get_access_token())
  end)

  it("opens no listener", function()
    local flow = willing { redirect_uri = "http://127.0.0.1:0/" }
    replace_module(REDIRECT, "no such file")
    assert_fails("transient", "no entropy", flow:get_access_token())
  end)

  it("opens no browser, and closes the listener", function()
    local redirect, listener = require(REDIRECT), nil
    replace_module(REDIRECT, { open = function(...)
      listener = assert(redirect.open(...))
      return listener
    end })
    replace_module("tokencache._browser", "no such file")
    local flow = willing { redirect_uri = "http://127.0.0.1:0/", state = "mine", pkce = true }
    assert_fails("transient", "no entropy", flow:get_access_token())
    assert.has_error(function() listener:poll(0) end)
  end)
end)

describe("a login without libmicrohttpd", function()
  it("says how to do without", function()
    replace_module(REDIRECT, "no such file")
    local flow = new { redirect_uri = "http://127.0.0.1:0/" }
    flow.may_log_in = true
    assert_fails("config", "libmicrohttpd cannot be loaded; install it, or give open_browser = "
      .. "false: no such file", flow:get_access_token())
  end)
end)
