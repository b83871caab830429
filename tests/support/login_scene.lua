--- One provider for the tests of a describe, and gateways of tokencache.nginx.login that end with
--- their test.
---
---     local scene = login_scene()                        -- in the describe
---     local gateway = scene.start { lifetime = 5 }       -- as login_gateway.start
---     local browser = scene.log_in("alice")
---     scene.provider, scene.gateway                      -- the one started last

local busted = require "busted"
local login_gateway = require "support.login_gateway"
local oidc_provider = require "support.oidc_provider"

---@class LoginScene
---@field provider OidcProvider
---@field gateway LoginGatewayServer

---@return LoginScene
return function()
  local scene, gateways = {}, {}

  busted.setup(function()
    scene.provider = oidc_provider.start()
  end)

  busted.teardown(function()
    scene.provider:stop()
  end)

  busted.after_each(function()
    local started = gateways
    gateways = {}
    for _, gateway in ipairs(started) do
      gateway:stop()
    end
  end)

  function scene.start(options, where)
    scene.gateway = login_gateway.start(scene.provider, options, where)
    gateways[#gateways + 1] = scene.gateway
    return scene.gateway
  end

  function scene.log_in(user)
    local browser = scene.gateway:new_browser()
    browser:log_in(user)
    return browser
  end

  return scene
end
