--- What an endpoint says that refuses a request of a client's, and what to do about it.

local core = require "tokencache._core"
local endpoint = require "tokencache.transport.endpoint"
local errors = require "tokencache.error"

local LONGEST_SHOWN = 200 -- bytes of a provider's words

--- RFC 6749 §5.2
local REMEDIES = {
  invalid_client = "check client_id, client_secret and token_endpoint_auth_method",
  invalid_scope = "check scope",
}

---@param url string
---@param response tokencache.HttpResponse
---@param sent string        what no message may repeat, see core.hide
---@param otherwise string   the remedy of what is not known
---@param remedies? table<string, string>  by code, beside the common ones
---@return tokencache.Error
return function(url, response, sent, otherwise, remedies)
  local status, object = response.status, endpoint.object(response) or {}
  local code = object.error
  local kind = (status == 429 or status >= 500) and "transient"
    or code == "access_denied" and "denied" or "config"
  local function shown(text)
    return type(text) == "string" and text ~= ""
      and core.printable(core.hide(text, sent):sub(1, LONGEST_SHOWN)) or nil
  end
  local description = shown(object.error_description)
  return errors.new(kind, ("%s answered %s%s; %s"):format(url:match "^[^?]*",
    shown(code) or "with status " .. status, description and " - " .. description or "",
    kind == "transient" and "try again later" or remedies and remedies[code] or REMEDIES[code]
    or otherwise), { code = shown(code), description = description, status = status })
end
