--- A provider that is known by its issuer alone, played for stages.
---
---     local provider = issuers.new_provider { jwks_uri = "https://login.example/keys" }
---     local stage = issuers.new_stage(provider)
---     local flow = stage:flow(issuers.options())

local merged = require "support.merged"
local stages = require "support.stage"

local issuers = {}

local ISSUER = "https://login.example"
local PLACE = ISSUER .. "/.well-known/openid-configuration"

issuers.ISSUER, issuers.PLACE = ISSUER, PLACE

--- A provider with what `says` adds to its metadata, or takes away by false. `asked` are the
--- documents that were asked for, `sent` the addresses of the other requests; `documents`, what is
--- at which address, and `gone` the endpoints that are not there any more.
function issuers.new_provider(says)
  local provider = { asked = {}, sent = {}, documents = {}, gone = {} }
  function provider.say(changes)
    provider.documents[PLACE] = merged({
      issuer = ISSUER, token_endpoint = ISSUER .. "/token",
      authorization_endpoint = ISSUER .. "/authorize",
    }, changes)
    for name, value in pairs(provider.documents[PLACE]) do
      provider.documents[PLACE][name] = value or nil
    end
  end
  provider.say(says)
  return provider
end

--- A process that meets it. `on` is what becomes of requests for its documents.
function issuers.new_stage(provider, settings)
  local stage = stages.new(settings or { lock = true })
  local count = 0
  stage.on.request = function(request)
    if request.method == "GET" then
      provider.asked[#provider.asked + 1] = request.url
      if provider.on then
        return provider.on(request, stage)
      end
      local document = provider.documents[request.url]
      return stages.answer(document or {}, document and 200 or 404)
    end
    provider.sent[#provider.sent + 1] = request.url
    if provider.gone[request.url] then
      return provider.gone[request.url]()
    end
    count = count + 1
    return stages.answer { access_token = "access-" .. count, expires_in = 3600,
      refresh_token = "refresh-" .. count + 1 }
  end
  return stage
end

function issuers.options(changes)
  return merged({ provider = { issuer = ISSUER } }, changes)
end

return issuers
