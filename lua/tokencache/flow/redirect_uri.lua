--- Reads the option redirect_uri: the address that the browser is sent back to, just as it is
--- registered at the provider, or a list of such, of which the first is used whose port is free.

local core = require "tokencache._core"
local options = require "tokencache.util.options"

local redirect_uri = {}

---@class tokencache.RedirectUri
---@field text string
---@field url table         its parts; of an address that is no URL with a host, its scheme alone
---@field any_port boolean  the port is 0: any that is free
---@field listens boolean   this machine can listen there (RFC 8252 §7.3)

local IS_LOOPBACK = { ["127.0.0.1"] = true, ["::1"] = true, localhost = true }

--- An address of a desktop program's own scheme (RFC 8252 §7.1), or a name that stands for an
--- address, such as eBay's RuName. A host without its "http://" is neither.
local function read_other(text, may_be_name)
  local scheme, rest = text:match("^(%a[%w+.-]*):(.*)$")
  if scheme and not rest:find("^%d") and not scheme:lower():find("^https?$") then
    return { scheme = scheme:lower(), fragment = text:match("#(.*)$") }
  elseif not scheme and may_be_name and text:find("^[%w_-]+$") then
    return {}
  end
end

local function read(text, may_be_name)
  local shown = text:gsub(" ", "%%20") -- sent as it is, blanks and all
  local url, problem = core.parse_url(shown)
  url = url or not shown:find("[%c\127]") and read_other(shown, may_be_name)
  if not url then
    return nil, "redirect_uri: " .. problem
  elseif url.fragment then
    return nil, "redirect_uri must not have a fragment (RFC 6749 §3.1.2)"
  end
  return {
    text = text,
    url = url,
    any_port = url.port == "0",
    listens = url.scheme == "http" and IS_LOOPBACK[url.host] == true,
  }
end

---@param given string|string[]
---@param may_be_name boolean  nobody listens there in any case
---@return tokencache.RedirectUri[]?
---@return string? problem
function redirect_uri.read(given, may_be_name)
  local texts = type(given) == "table" and given or { given }
  if not options.is_list(texts, "string") then
    return nil, "redirect_uri must be a list of strings"
  elseif #texts == 0 then
    return nil, "redirect_uri must not be an empty list"
  end
  local list = {}
  for i, text in ipairs(texts) do
    local one, problem = read(text, may_be_name)
    list[i] = one
    if not one then
      return nil, problem
    elseif i > 1 and not (list[1].listens and list[i].listens) then
      return nil, "redirect_uri may be a list only of http addresses on this machine, each with a "
        .. "port of its own"
    end
  end
  return list
end

--- The same with the port that is listened on in place of port 0, or with none.
---@param one tokencache.RedirectUri
---@param port? integer
---@return string
function redirect_uri.at(one, port)
  return one.any_port and one.text:gsub(":0", port and ":" .. port or "", 1) or one.text
end

return redirect_uri
