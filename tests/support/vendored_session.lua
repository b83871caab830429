--- lua-resty-session 4 itself, as it is in tests/vendor, inside nginx. What it has libcrypto do
--- through lua-resty-openssl is done here by what tokencache has: no secret is at stake, and how
--- sessions are read, saved and sent does not depend on it.
---
---     local session = require("support.vendored_session").start()

package.path = package.path:gsub("/tests/%?%.lua;", "%0" .. package.path:match("([^;]*)/tests/%?")
  .. "/tests/vendor/lua-resty-session/?.lua;", 1)

local crypto = require "tokencache.crypto"
local utils = require "resty.session.utils"

utils.rand_bytes, utils.sha256 = crypto.random, crypto.sha256

function utils.hmac_sha256(key, text)
  return crypto.sha256(key .. text)
end

function utils.derive_hmac_sha256_key(secret, nonce)
  return crypto.sha256("mac" .. secret .. nonce)
end

function utils.derive_aes_gcm_256_key_and_iv(secret, nonce)
  return crypto.sha256("key" .. secret .. nonce), nil, nonce:sub(1, 12)
end

local function tag_of(key, iv, text, more)
  return (crypto.sha256(key .. iv .. text .. more):sub(1, 16))
end

function utils.encrypt_aes_256_gcm(key, iv, text, more)
  return text, nil, tag_of(key, iv, text, more)
end

function utils.decrypt_aes_256_gcm(key, iv, text, more, tag)
  if tag ~= tag_of(key, iv, text, more) then
    return nil, "the tag differs"
  end
  return text
end

return require "resty.session"
