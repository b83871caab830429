--- The report's lines: the figure, what it is compared with, how they compare, and the aim.

local summary = require "bench.summary"

local report = {}

local FORMAT = "%-30s %-28s %-40s %-23s %s"

local function print_line(...)
  print((FORMAT:format(...):gsub("%s+$", "")))
end

function report.head()
  print_line("what", "median (min..max)", "against: median (min..max)", "ratio (min..max)", "aim")
end

local UNITS = {
  ns = { name = " ns", size = 1e-9, format = "%.1f" },
  us = { name = " us", size = 1e-6, format = "%.2f" },
  ms = { name = " ms", size = 1e-3, format = "%.2f" },
  bytes = { name = " bytes", size = 1, format = "%.0f" },
  MB = { name = " MB", size = 1024, format = "%.2f" },
  rate = { name = "/s", size = 1, format = "%.0f" },
  ratio = { name = "x", size = 1, format = "%.2f" },
}

local function shown(unit, figures)
  local function number(value)
    return unit.format:format(value / unit.size)
  end
  return ("%s%s (%s..%s)"):format(number(figures.median), unit.name, number(figures.min),
    number(figures.max))
end

local function time(figures)
  local unit = figures.median < 1e-6 and "ns" or figures.median < 1e-3 and "us" or "ms"
  return shown(UNITS[unit], figures)
end

local function verdict(figures, most)
  return figures.median <= most and "met" or "MISSED"
end

--- How many times as long `ours` takes.
---@param what string
---@param ours Contestant
---@param floor Contestant
---@param aim? { wished?: number, most: number }
function report.ratio(what, ours, floor, aim)
  local ratios = summary.ratios(ours.times, floor.times)
  local goal = ""
  if aim then
    goal = ("%sat most %gx: %s"):format(aim.wished and ("%.1fx, "):format(aim.wished) or "",
      aim.most, verdict(ratios, aim.most))
  end
  print_line(what, time(summary.of(ours.times)),
    floor.name .. ": " .. time(summary.of(floor.times)), shown(UNITS.ratio, ratios), goal)
end

--- How many requests a second `ours` answers for one that `floor` answers.
---@param what string
---@param ours { times: number[] }
---@param floor { name: string, times: number[] }
---@param aim? { wished?: number, least: number }
function report.rate(what, ours, floor, aim)
  local function rates(times)
    local values = {}
    for round, seconds in ipairs(times) do
      values[round] = 1 / seconds
    end
    return summary.of(values)
  end
  local ratios = summary.ratios(floor.times, ours.times)
  local goal = aim and ("%sat least %gx: %s"):format(
    aim.wished and ("%.2fx, "):format(aim.wished) or "", aim.least,
    ratios.median >= aim.least and "met" or "MISSED") or ""
  print_line(what, shown(UNITS.rate, rates(ours.times)),
    floor.name .. ": " .. shown(UNITS.rate, rates(floor.times)), shown(UNITS.ratio, ratios), goal)
end

--- How much more `ours` takes, in seconds or kilobytes by round.
---@param what string
---@param unit "us"|"ms"|"MB"
---@param ours number[]
---@param floor_name string
---@param floor number[]
---@param most? number  in that unit
function report.difference(what, unit, ours, floor_name, floor, most)
  unit = UNITS[unit]
  local differences = summary.differences(ours, floor)
  print_line(what, shown(unit, summary.of(ours)), floor_name .. ": "
    .. shown(unit, summary.of(floor)), "+" .. shown(unit, differences),
    most and ("at most +%g%s: %s"):format(most, unit.name, verdict(differences, most * unit.size))
      or "")
end

--- How many times as much memory `ours` takes.
---@param what string
---@param ours number[]   KiB, by round
---@param floor_name string
---@param floor number[]
function report.memory(what, ours, floor_name, floor)
  print_line(what, shown(UNITS.MB, summary.of(ours)), floor_name .. ": "
    .. shown(UNITS.MB, summary.of(floor)), shown(UNITS.ratio, summary.ratios(ours, floor)), "")
end

--- What is compared with nothing.
---@param what string
---@param unit "us"|"bytes"
---@param ours number[]
---@param most number  in that unit
function report.value(what, unit, ours, most)
  unit = UNITS[unit]
  local figures = summary.of(ours)
  print_line(what, shown(unit, figures), "", "",
    ("at most %g%s: %s"):format(most, unit.name, verdict(figures, most * unit.size)))
end

--- What is counted and not timed.
---@param what string
---@param ours number
---@param name string
---@param theirs number
function report.count(what, ours, name, theirs)
  print_line(what, ("%d"):format(ours), ("%s: %d"):format(name, theirs), "", "")
end

local FIGURES_FILE = "build/bench/figures.tsv"
local drawn = {} -- pictures that this run has begun

--- Notes a line of what a picture shows; `make docs` draws what docs/figures.tsv holds.
---@param picture string
---@param ... string|number
function report.draw(picture, ...)
  local lines = {}
  local file = io.open(FIGURES_FILE)
  for line in file and file:lines() or function() end do
    lines[#lines + 1] = (drawn[picture] or line:match "^[^\t]+" ~= picture) and line or nil
  end
  if file then
    file:close()
  end
  drawn[picture] = true
  lines[#lines + 1] = table.concat({ picture, ... }, "\t")
  file = assert(io.open(FIGURES_FILE, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

---@param what string
---@param why string
function report.missing(what, why)
  print(("%-30s not measured: %s"):format(what, why))
end

return report
