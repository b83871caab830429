--- What browsers keep for the gateway, sealed. The first of the secrets seals, and each of them
--- opens: a new one goes in front, and an old one stays for as long as sessions last.

local sealed = require "tokencache.sealed"

---@class tokencache.LoginSealer
---@field seal fun(bound: string, text: string): string?, tokencache.Error?
---@field open fun(bound: string, text: string): string?, tokencache.Error?  nil: it was altered

---@param secrets string[]
---@return tokencache.LoginSealer
return function(secrets)
  return {
    seal = function(bound, text)
      return sealed.seal(secrets[1], bound, text)
    end,
    open = function(bound, text)
      local opened, err
      for _, secret in ipairs(secrets) do
        opened, err = sealed.open(secret, bound, text)
        if opened or err then
          break
        end
      end
      return opened, err
    end,
  }
end
