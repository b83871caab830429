#!/bin/sh
# Usage: tools/sum.sh DIRECTORY...
# Adds up the counts that suites left there. A directory without any has failed.
for directory; do
  cat "$directory"/*.counts 2>/dev/null || echo 0 1 0
done | awk '
  { passed += $1; failed += $2; skipped += $3 }
  END {
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
  }'
