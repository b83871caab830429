-- What is signed by RSA, while allocations fail; see alloc.c. Apart from signing.lua, whose PEM
-- libcrypto reads with thousands of allocations: with RSA each trial takes some milliseconds.

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

--- A JWK that was made for this (RFC 7518 §6.3): n, e, d, p, q, dp, dq, qi.
local NUMBERS = {
  "zM3mCeMJK_ZEQCf3pqy8XPESxBycLEV2R1DWhym9-FglYbzZE41EcD2Fguwc8GSuHiSSp_fKNLMYAhGzwIfG0JWt"
    .. "AelBBxk3hFm6FA0yWkLYqv8AvnAF-tRetmvNIO_qFRVxLBAntjs7Q0RPL0koDqzZ42Zjp5emNAgBbtRXEYHwnqIy"
    .. "3X2umCIOZD6BFGhXs7N3hDcFqvq2Po7bw_MHOuQHSP-zpBiGqQlA6cBs2Zqn7r1l7Z7gCvpYpP2XbJmsXzqI8UE2"
    .. "Jj5HRC1d3YWweEu3xaB8M8clmIBAoT_l9hquNBRT_iyd-MFuMO6LcTXKjkSQzq62PRsztvSbCZwVXQ",
  "AQAB",
  "AhIVQLi8tgB5mvoMeFeH8mfP9cJusPyyAAr8MEYNKqUEs7x4dJWM2vzapbYEN0kwgK0dlav2rZofiwQ2ZtYe_d4V"
    .. "iRuca0yNxPCXTG6ZuYaySoBLhKFjUUoZlXFfk8Hfm8wpgCi_QT0C3pPWBrdc1VEmeGfnmzrFFM-XHB5ZE884FNOF"
    .. "cYUOH4MuS4TsCa2ZCdZ_S56H2lZPD0jlMKyGlBr0Fpsyld6py19KQyvxOYGf0tMwBjICCWLiJcganMzU7ZzMcpQ6"
    .. "AZ5lkmxwif_Jz4EWzJfhzHuMqrkH5nCZKhlZoMxvtu_cmuMKPVcAhunLpST9bSsyzDWtdqujlL4S7Q",
  "5tVuJi-nXk0dMahywNxHk4mq7Fx8ESh7kpONSJSSAhF4Ea3uC7SqrgwrN69q67MDi6E2i4-GluwqvV1vAZuGCaDG"
    .. "XP0sr8fq77XNCK3BRITtokd6ta108fQNxxkhCSPOVVCfbWQn3uwqlEwqOZdnObnxeuWyB-Em68XdvTclENs",
  "4yH8skF28bm1bKbFgiuYpXlC6MNYQHD4iKoE3mHK3JUWRJe2jmjhfx5rMotQBQi-n5Fd4VQdS7_z31SYjjQy4Yxp"
    .. "BXsfMala10cgrPOtn3RzD9H0okxPcIEYrTLt8rqb4zlbgxYgH20pO0Noftr-9CVyKO9QTTnZNS9Ulh8YzCc",
  "RRoRfmb3oJhPLAV0TN3ko3sr6tQI5A4NaCS5v8eSKgJWwlwiDekIy0-jRGlEBckyP4OEU6UksluCs-ubhoyrRIiX"
    .. "uVClJv4fC6GN_pIdcEim5tSlHGwPvTrFQRv5ssXAR_P5tgKsmOR0Hq7qWRFE-pf6fULz174EK8KxDarLcs8",
  "niFcZ9Ix-Erdp35YRa8KgDHzRlAyEfNU5PjRmO2mqXnWXfzt6SnVzIWmBjN9i3OyGy--l5DTMJi8NcEU0PRAdE0o"
    .. "FNvKNO3-Q6DOe_rO5xPQw7PdyFyuddo7DuJFTVdkDocxUgtGY_rA2PSuPJtFIz8qwpsSYiGjOmbwUe_meMM",
  "Ev0oEETBUlvhrrlo0jPYCWxh1LSwjuE3VtPwcRVjYDvt6FjjuE8m7fAKHoYmF6fQFOrOADuSscs2z2WQNJnRhRVD"
    .. "s0NLnpZr3QQQ6ZJvLAbIMM_uy6JTIN1ZlZiQpKz51OuUUq2rhjcqx_jf8ziqm5rtHpEzFJSaethuvVQzLfg",
}

--- libcrypto does not always say that it had no memory.
local INSTEAD = { "numbers make no RSA key", "of a size that must not be used",
  "parts that do not belong together" }

local crypto = require "tokencache._crypto"
local decode = require("tokencache._core").base64url_decode
local unpack = table.unpack or unpack -- luacheck: ignore 113 143

for i, text in ipairs(NUMBERS) do
  NUMBERS[i] = decode(text)
end

local function use()
  local key, err = crypto.read_rsa_key(unpack(NUMBERS))
  for _, saying in ipairs(INSTEAD) do
    err = tostring(err):find(saying, 1, true) and "not enough memory" or err
  end
  expect(true, #check(check(key, err):sign("PS256", "{}", "{}")) >= 256)
end

dofile "tests/alloc/luajit.lua"
use() -- libcrypto keeps what it looked up

return use, use
