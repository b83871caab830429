--- Shows the user of a script what a login by another device takes. In a terminal that may show
--- UTF-8 and colours there is a QR code too, where libqrencode is installed.

local WIDEST = 60 -- modules, and as many columns

--- https://no-color.org; a QR code is not read without its colours.
local function may_have_colours()
  return (os.getenv "NO_COLOR" or "") == ""
end

local function is_utf8()
  local locale = os.getenv "LC_ALL" or os.getenv "LC_CTYPE" or os.getenv "LANG" or ""
  return locale:lower():find "utf%-?8" ~= nil
end

local MARGIN = 2 -- modules; ISO 18004 wants four, and all readers do with two
local BLOCKS = { [0] = "█", "▀", "▄", " " } -- 1: the lower module is dark, 2: the upper one

--- Two rows of modules to a line. Light modules are drawn: terminals are dark, and where one is
--- not, the colours are set.
local function draw(qrcode, text)
  local modules, width = qrcode.encode(text)
  if not modules or width > WIDEST then
    return nil
  end
  local function is_dark(x, y)
    return x >= 0 and y >= 0 and x < width and y < width
      and modules:byte(y * width + x + 1) == 1
  end
  local lines = {}
  for y = -MARGIN, width + MARGIN - 1, 2 do
    local line = {}
    for x = -MARGIN, width + MARGIN - 1 do
      line[#line + 1] = BLOCKS[(is_dark(x, y) and 2 or 0) + (is_dark(x, y + 1) and 1 or 0)]
    end
    lines[#lines + 1] = "  \27[37;40;1m" .. table.concat(line) .. "\27[0m\n"
  end
  return table.concat(lines)
end

--- The code as text, or nil where there can be none.
local function picture(uri)
  local is_there, qrcode = pcall(require, "tokencache._qrcode")
  return uri and is_there and is_utf8() and may_have_colours() and qrcode.is_seen()
    and draw(qrcode, uri) or nil
end

---@param prompt tokencache.DevicePrompt
return function(prompt)
  local complete = prompt.verification_uri_complete
  local code, minutes = picture(complete), math.max(1, math.floor(prompt.expires_in / 60 + 0.5))
  io.stderr:write("To log in, open this address in a browser, on this or on another device:\n\n  ",
    prompt.verification_uri, "\n\nand enter the code\n\n  ", prompt.user_code, "\n\n",
    complete and "or open\n\n  " .. complete .. "\n\n" or "", code and code .. "\n" or "",
    ("The code is good for %.0f minute%s.\n"):format(minutes, minutes == 1 and "" or "s"))
end
