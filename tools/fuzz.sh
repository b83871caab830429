#!/bin/sh
# Usage: tools/fuzz.sh SECONDS PROGRAM...
# Prints TAP: runs each fuzzer for that long, starting from the inputs in tests/fuzz/corpus. New
# inputs are kept in build/fuzz/corpus, and what failed a target in build/fuzz/findings.
cd "$(dirname "$0")/.." || exit 1
seconds=$1
shift
echo "1..$#"
number=0 failures=0
mkdir -p build/fuzz/findings
for program; do
  name=${program##*/fuzz_}
  corpus=build/fuzz/corpus/$name log=build/fuzz/$name.log
  number=$((number + 1))
  mkdir -p "$corpus"
  if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$name-" \
    "$corpus" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "ok $number - $name: $runs executions"
  else
    failures=$((failures + 1))
    tail -n 40 "$log" | sed 's/^/# /'
    echo "not ok $number - $name; the whole log is $log"
  fi
done
exit $((failures > 0))
