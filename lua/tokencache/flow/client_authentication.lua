--- How a client says who it is, in whatever it asks of its provider (RFC 6749 §2.3). What it proves
--- that with is read anew for each request, so that it may change at any time.

local assertion = require "tokencache.flow.assertion"
local client_options = require "tokencache.flow.client_options"
local core = require "tokencache._core"
local crypto = require "tokencache.crypto"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"
local quirks = require "tokencache.quirks"
local secret = require "tokencache.util.secret"

local client_authentication = {}

local ASSERTION_LIFE = 60 -- seconds

local ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" -- RFC 7523 §2.2

--- A request in the making.
---@class tokencache.Authenticating
---@field flow tokencache.Flow
---@field request tokencache.HttpRequest
---@field options table            of the client
---@field read? table<string, string>  what was read of those that change, by option
---@field hide? string             a form: what no message may repeat, beside the body

local dpop -- loaded when first used

local function form_encode(text)
  return core.form_encode({ "", text }):sub(2)
end

local function base64(bytes)
  local text = core.base64url_encode(bytes):gsub("-", "+"):gsub("_", "/")
  return text .. ("="):rep(-#text % 4)
end

local materials = setmetatable({}, { __mode = "k" }) -- by request: what was read for it

--- The text that an option stands for at the moment.
---@param making tokencache.Authenticating
---@return string?
---@return tokencache.Error?
local function text_of(making, name)
  local value = making.options[name]
  local text, problem = secret.read(value, false, name == "client_certificate")
  if not text then
    return nil, errors.new("config", name .. ": " .. problem)
  end
  if type(value) ~= "string" then
    making.read = making.read or {}
    making.read[name] = text
  end
  return text
end

--- How an option is called in messages: by its file, if it has one.
local function name_of(making, name)
  local value = making.options[name]
  return type(value) == "table" and value.file or name
end

local function add_params(making, ...)
  making.request.body = core.form_encode({ ... }, making.request.body)
end

--- Adds the client's id, which a pushed authorization request has already (RFC 9126 §2.1), and what
--- else there is to add.
local function add_client_id(making, ...)
  if not making.request.body:find "^client_id=" then
    add_params(making, "client_id", making.flow.client_id, ...)
  elseif ... then
    add_params(making, ...)
  end
end

local function client_secret(making)
  local text, err = text_of(making, "client_secret")
  local problem = text and core.problem_of_text("client_secret", text)
  if problem or text == "" then
    return nil, errors.new("config", problem or "client_secret is empty")
  elseif text then
    making.hide = core.form_encode { "client_secret", text }
  end
  return text, err
end

---@alias tokencache.AuthMethod fun(making: tokencache.Authenticating, deadline: number):
---   tokencache.Error?

---@type table<string, tokencache.AuthMethod>
local methods = {}

function methods.none(making)
  if making.flow.is_unnamed then
    return -- RFC 7521 §4.1: the assertion says enough
  end
  add_client_id(making)
end

--- RFC 6749 §2.3.1: both parts are form-encoded first, so that a ":" or "%" in them survives.
function methods.client_secret_basic(making)
  local text, err = client_secret(making)
  if not text then
    return err
  end
  local id, raw = making.flow.client_id, making.options.basic_is_raw
  local encoded = base64(raw and id .. ":" .. text or form_encode(id) .. ":" .. form_encode(text))
  making.request.headers.Authorization = "Basic " .. encoded
  local unpadded = encoded:gsub("=+$", "") -- as it is often written
  making.hide = core.form_encode({ "credentials", unpadded }, making.hide)
end

function methods.client_secret_post(making)
  local text, err = client_secret(making)
  if not text then
    return err
  end
  add_client_id(making, "client_secret", text)
end

--- The assertion comes last: LuaJIT hashes the ends of a text and some bytes within, and compares
--- bodies that differ elsewhere with each other.
local function add_assertion(making, text)
  add_client_id(making, "client_assertion_type",
    making.options.client_assertion_type or ASSERTION_TYPE, "client_assertion", text)
end

--- Whom an assertion is for (RFC 7523 §3): the issuer, which no metadata can turn into somebody
--- else, unless the provider wants its token endpoint, or another text.
---@return string?
---@return tokencache.Error?
local function audience_of(making, deadline)
  local flow, wanted = making.flow, making.options.audience
  if wanted and wanted ~= "issuer" and wanted ~= "token_url" then
    return wanted
  elseif flow.issuer and wanted ~= "token_url" then
    return flow.issuer
  end
  return flow:_endpoint("token_url", deadline)
end

---@return string? claims  JSON
---@return tokencache.Error?
local function claims_of(making, deadline)
  local flow = making.flow
  local audience, err = audience_of(making, deadline)
  local claims
  if audience then
    claims, err = assertion.claims(flow, { iss = flow.client_id, sub = flow.client_id }, audience,
      ASSERTION_LIFE)
  end
  return claims, err
end

--- RFC 7515 §4.1.8: the digest of the certificate, by which Entra knows a key.
---@return string?
---@return tokencache.Error?
local function thumbprint_of(making, pem)
  local body = pem:match "%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END"
  local der = body and core.base64url_decode((body:gsub("[%s=]", ""):gsub("+", "-")
    :gsub("/", "_")))
  local digest, err = crypto.sha256(der or "")
  if not der then
    return nil, errors.new("config", name_of(making, "client_certificate")
      .. " holds no certificate in PEM")
  end
  return digest and core.base64url_encode(digest), err
end

---@return tokencache.SigningKey?
---@return tokencache.Error?
local function key_of(making)
  local text, err = text_of(making, "client_key")
  local passphrase
  if text and making.options.client_key_passphrase then
    passphrase, err = text_of(making, "client_key_passphrase")
    text = passphrase and text
  end
  return text and { text = text, passphrase = passphrase, name = name_of(making, "client_key"),
    option = "client_key" }, err
end

---@return table? header
---@return tokencache.Error?
local function header_of(making)
  local header = { alg = making.options.alg, typ = "JWT", kid = making.options.client_key_id }
  if making.options.client_certificate then
    local pem, err = text_of(making, "client_certificate")
    if pem then
      header["x5t#S256"], err = thumbprint_of(making, pem)
    end
    if err then
      return nil, err
    end
  end
  return header
end

--- Ready-made.
local function given_assertion(making)
  local text, err = text_of(making, "client_assertion")
  if text and (text == "" or text:find "[^!-~]") then
    return nil, errors.new("config", name_of(making, "client_assertion")
      .. " holds no assertion: it is empty, or has blanks or control characters")
  end
  return text, err
end

local function signed_assertion(making, deadline)
  local key, err = key_of(making)
  local header, claims
  if key then
    header, err = header_of(making)
  end
  if header then
    claims, err = claims_of(making, deadline)
  end
  if not claims then
    return nil, err
  end
  local metadata = making.flow.equipped_with or {}
  return assertion.signature().sign(key, header, claims,
    metadata.token_endpoint_auth_signing_alg_values_supported)
end

function methods.private_key_jwt(making, deadline)
  local make = making.options.client_assertion and given_assertion or signed_assertion
  local text, err = make(making, deadline)
  if not text then
    return err
  end
  add_assertion(making, text)
end

--- OpenID Connect Core §9: HS256 under the secret.
function methods.client_secret_jwt(making, deadline)
  local text, err = client_secret(making)
  local claims, key, made
  if text then
    claims, err = claims_of(making, deadline)
  end
  if claims then
    key, err = crypto.hmac("sha256", text)
  end
  if key then
    made, err = key:sign(core.base64url_encode '{"alg":"HS256","typ":"JWT"}' .. "."
      .. core.base64url_encode(claims), ".")
  end
  if not made then
    return err
  end
  add_assertion(making, made)
end

--- What is shown by TLS (RFC 8705 §2).
---@return table?
---@return tokencache.Error?
local function certificate_of(making)
  local certificate, err = text_of(making, "client_certificate")
  local key
  if certificate then
    key, err = key_of(making)
  end
  if not key then
    return nil, err
  elseif not making.flow.transport.certificates then
    return nil, errors.new("config", "the transport given as http= shows no client certificates, "
      .. "which " .. making.flow.method .. " needs")
  end
  local ok, print
  ok, err = assertion.signature().check(key)
  if ok then
    print, err = thumbprint_of(making, certificate)
  end
  return print and { certificate = certificate, key = key.text, passphrase = key.passphrase,
    thumbprint = print }, err
end

function methods.tls_client_auth(making)
  local certificate, err = certificate_of(making)
  if not certificate then
    return err
  end
  making.request.certificate = certificate
  methods.none(making)
end

methods.self_signed_tls_client_auth = methods.tls_client_auth

--- What the client shows by TLS with a token that may be bound to it; nil: nothing.
---@return table?
---@return tokencache.Error?
function client_authentication.certificate(flow)
  if client_options.is_by_tls(flow.method) then
    return certificate_of { flow = flow, options = flow.credentials() }
  end
end

--- Makes a request of the client's to its provider: a form, posted.
---@param flow tokencache.Flow
---@param url string
---@param body string       form-encoded, without what says who asks
---@param timeout number    seconds from now
---@param deadline number   monotonic seconds
---@param is_token_request? boolean  it goes to the token endpoint
---@param key? table        that the token is to be bound to, see tokencache.dpop
---@return tokencache.HttpRequest?
---@return string|tokencache.Error sent  the form of what no message may repeat, see core.hide
function client_authentication.request(flow, url, body, timeout, deadline, is_token_request, key)
  local request = endpoint.request(flow, url, body, timeout, deadline)
  local making = { flow = flow, request = request, options = flow.credentials() }
  local err = methods[flow.method](making, deadline)
  if key and not err then
    dpop = dpop or require "tokencache.dpop"
    request.headers.DPoP, err = dpop.proof(flow, key, "POST", url)
  end
  if err then
    return nil, err
  end
  local sent = making.hide and request.body .. "&" .. making.hide or request.body
  local problem = is_token_request and quirks.change(flow, request)
  if problem then
    return nil, errors.new("config", problem)
  end
  materials[request] = making.read
  return request, sent
end

local function has_newer(flow, read, is_refused)
  for name, text in pairs(read) do
    local now = secret.read(flow.credentials()[name], is_refused, name == "client_certificate")
    if now and now ~= text then
      return true
    end
  end
  return false
end

--- Reports whether the provider has refused what the client proved itself with, and the client has
--- something newer, or has been given it: then the request has come to nothing, and is worth
--- another try.
---@param flow tokencache.Flow
---@param request tokencache.HttpRequest
---@param response? tokencache.HttpResponse
---@param err? tokencache.Error  in place of that
---@return boolean
function client_authentication.is_outdated(flow, request, response, err)
  local read, has_proof = materials[request], request.headers.DPoP ~= nil
  local is_told = response and has_proof
    and dpop.note(flow, request.url, dpop.nonce_of(response))
  if not response then -- certificate and key do not fit if they were changed between both reads
    return read and request.certificate and err.kind == "config" and has_newer(flow, read, false)
      or false
  elseif not (read or has_proof)
    or response.status ~= 400 and response.status ~= 401 then
    return false
  end
  local code = (endpoint.object(response) or {}).error
  if code ~= "invalid_client" or not read then
    return is_told and code == "use_dpop_nonce" or false
  end
  return has_newer(flow, read, true)
end

return client_authentication
