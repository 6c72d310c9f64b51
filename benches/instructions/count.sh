#!/usr/bin/env bash
# Counts the instructions of three small pieces of work with valgrind and compares them with
# `counts.txt`: more than 2 % above is an error. `count.sh --update` writes the file anew.
#
# Counts of once and of six times are subtracted, so that starting up does not count. There is one
# thread, because threads that wait count as well. Valgrind hides AVX-512: what is counted is the
# path of processors without it, and counts compare with those of the same path only.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
export RAYON_NUM_THREADS=1

cargo build --release --workspace --quiet
program="${CARGO_TARGET_DIR:-target}/release/instructions"

count() { # CASE TIMES
  local log
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1)
  sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$log"
}

new=$(for case in lstm gru greedy; do
  echo "$case $((($(count "$case" 6) - $(count "$case" 1)) / 5))"
done)

if [ "${1:-}" = --update ]; then
  echo "$new" >"$here/counts.txt"
  cat "$here/counts.txt"
  exit
fi

status=0
while read -r case now; do
  before=$(sed -n "s/^$case //p" "$here/counts.txt")
  printf '%s: %d instructions, %+.1f %%\n' "$case" "$now" \
    "$(awk "BEGIN { print 100 * ($now - $before) / $before }")"
  if [ $((now * 100)) -gt $((before * 102)) ]; then
    echo "$case takes more instructions than counts.txt allows; if that is meant: $0 --update" >&2
    status=1
  fi
done <<<"$new"
exit $status
