#!/bin/sh
# Usage: tools/luas.sh [required|tested]
# Prints the Luas of luas.list, those that are optional only where they are installed; with
# `required` none of these, with `tested` those that have busted too.
cd "$(dirname "$0")/.." || exit 1

is_here() {
  command -v "$1" && pkg-config --exists "$1" &&
    { [ "$2" != tested ] || "$1" -e 'require "busted" require "socket" require "cjson"'; }
}

while read -r lua optional; do
  [ -z "$optional" ] || { [ "${1:-}" != required ] && is_here "$lua" "${1:-}" >/dev/null 2>&1; } ||
    continue
  echo "$lua"
done <<END
$(grep -v '^#' luas.list)
END
