--- JSON for token_infos: what is stored comes back the same, or the call fails and says why.

local json = require "tokencache._json"

return {
  --- Objects and arrays become tables, arrays marked as such (see `array`); `null` becomes
  --- `json.null`. Integers stay exact: on Lua 5.1 and LuaJIT those beyond 2^53 become opaque values
  --- that print, compare and encode as they should. The message never quotes the text.
  ---@type fun(text: string): any, string?  value | nil, message
  decode = json.decode,

  --- For what a server answered, which cannot be asked for again. What `decode` refuses is read as
  --- most parsers do: of several fields of a name the last one, a number that is too large as the
  --- nearest float, and U+FFFD for what is no character. Whatever comes of it, `encode` takes it.
  ---@type fun(text: string): any, string?  value | nil, message
  decode_answer = json.decode_answer,

  --- Keys are sorted, the text is ASCII. A table is an array if it is marked as one or has exactly
  --- the keys 1..n; else all its keys must be strings, and an empty one is an object.
  ---@type fun(value: any): string?, string?  text | nil, message naming the field
  encode = json.encode,

  --- A copy of what `decode` returned; no table is shared.
  ---@type fun(value: any): any
  copy = json.copy,

  --- Marks `t`, or a new table, as an array, so that it encodes as `[]` while empty.
  ---@type fun(t?: table): table
  array = json.array,

  --- Takes the members that are null out of an object, where they mean no more than absent ones.
  ---@type fun(object: table): table  the same
  without_nulls = function(object)
    for name, value in pairs(object) do
      if value == json.null then
        object[name] = nil
      end
    end
    return object
  end,

  --- JSON's `null`; equal to lua-cjson's and to nginx's.
  ---@type lightuserdata
  null = json.null,
}
