--- Sample token_infos, one for each way in which a cache could lose something.

--- No two stretches of it are alike, so that a piece left out or swapped shows.
local function long_text(length)
  local parts, size = {}, 0
  while size < length do
    parts[#parts + 1] = ("%x."):format(#parts)
    size = size + #parts[#parts]
  end
  return table.concat(parts):sub(1, length)
end

return {
  {
    name = "a token without refresh_token, expires_at and scope",
    advice = "Store the token_info as it is, and count on no field but access_token.",
    token = { access_token = "BQD-sample", token_type = "Bearer" },
  },
  {
    name = "a user's token with every known field",
    advice = "Store the whole token_info, not a choice of its fields.",
    token = {
      access_token = "BQC-sample", token_type = "Bearer", refresh_token = "AQA-sample",
      scope = "playlist-read-private user-read-private", expires_in = 3600,
      expires_at = 4102444800, authorized_at = 1760000000,
    },
  },
  {
    name = "fields it does not know",
    advice = "Providers add fields of their own: store the whole token_info.",
    token = {
      access_token = "BQC-sample", id_token = "e30.e30.c2ln", active = true, first_login = false,
      ["not-before-policy"] = 0, empty = "",
    },
  },
  {
    name = "nested fields",
    advice = "Store tables inside the token_info too, at any depth.",
    token = {
      access_token = "BQC-sample",
      account = { id = "17", plan = { name = "premium", seats = { 1, 2, 3 } } },
      devices = { { id = "a" }, { id = "b", active = true } },
    },
  },
  {
    name = "UTF-8",
    advice = "Store strings byte for byte.",
    token = {
      access_token = "BQC-sample", display_name = "Zo\195\171 \226\152\131 \240\159\152\128",
      ["sch\195\182n"] = "\226\128\168",
    },
  },
  {
    name = "quotes, backslashes, newlines and control characters",
    advice = "Escape strings when writing and undo it when reading.",
    token = {
      access_token = "BQC-sample", quoted = [==["double" 'single' \ / \n %s %d ]] ]=] --[[ ]==],
      lines = "one\ntwo\r\nthree\ttabbed", controls = "\0\1\27\31\127",
      ["a \"key\"\n"] = " spaced ",
    },
  },
  {
    name = "integers",
    advice = "Keep all 16 digits, and integers integers; tokencache.json does, lua-cjson does not.",
    token = {
      access_token = "BQC-sample", expires_at = 4102444800, zero = 0, negative = -1,
      largest = 9007199254740991, smallest = -9007199254740991,
    },
  },
  {
    name = "floats",
    advice = 'Write floats with 17 digits ("%.17g"); tokencache.json does, and lua-cjson does not.',
    token = {
      access_token = "BQC-sample", half = 2.5, tenth = 0.1, third = 1 / 3, tiny = 1e-300,
      huge = 1.5e300, received_at = 1760003600.123456,
    },
  },
  {
    name = "an access token of 8 KiB",
    advice = "Access tokens that are JWTs grow long: allow entries of 64 KiB at least.",
    token = { access_token = long_text(8192), token_type = "Bearer" },
  },
}
