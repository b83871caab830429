local json = require "tokencache.json"
local token_info = require "tokencache.token_info"

describe("token_info.good_until", function()
  local DAY = 86400
  local cases = {
    { "the token's end", { expires_at = 1000 }, nil, 1000 },
    { "the token's end, as text", { expires_at = "1000" }, nil, 1000 },
    { "the token's end, beside an empty refresh token", { expires_at = 1000, refresh_token = "" },
      DAY, 1000 },
    { "nothing where no end is known", {}, DAY, nil },
    { "nothing where the end is null", { expires_at = json.null }, nil, nil },
    { "nothing for a login without a limit", { expires_at = 1000, refresh_token = "r" }, nil, nil },
    { "nothing for a login of unknown age", { expires_at = 1000, refresh_token = "r" }, DAY, nil },
    { "the login's end", { expires_at = 1000, refresh_token = "r", authorized_at = 500 }, DAY,
      500 + DAY },
    { "the token's end where it outlives the login",
      { expires_at = 1000, refresh_token = "r", authorized_at = 500 }, 10, 1000 },
    { "the login's end without a token's", { refresh_token = "r", authorized_at = 500 }, DAY,
      500 + DAY },
  }
  for _, case in ipairs(cases) do
    it("is " .. case[1], function()
      assert.equal(case[4], token_info.good_until(case[2], case[3]))
    end)
  end
end)
