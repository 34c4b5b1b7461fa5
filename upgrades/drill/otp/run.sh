#!/usr/bin/env bash
# run.sh SIZES REPS, as in run.sh "1000 100000 1000000" 5
#
# How long Erlang/OTP keeps a client waiting when release_handler upgrades and downgrades a gen_server with so many
# rows: the longest gap between two replies to a client that calls without a rest, and its longest gap in a window as
# long as the upgrade's without one. Medians in ms. Every row is checked after each change.
#
# The client lives in the node: it pays for no socket, and no one writes meanwhile. The node opens no port and has no
# epmd; nothing is left when this ends.
set -euo pipefail

if (($# != 2)) || ! [[ $1 =~ ^[1-9][0-9]*(\ [1-9][0-9]*)*$ && $2 =~ ^[1-9][0-9]*$ ]]; then
  echo 'usage: run.sh SIZES REPS, as in run.sh "1000 100000 1000000" 5' >&2
  exit 2
fi
if ! command -v erl >/dev/null || ! command -v erlc >/dev/null; then
  echo 'otp: no Erlang here; on Debian: apt-get install erlang-nox' >&2
  exit 3
fi

source=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
node=
trap '[[ -z $node ]] || { kill -9 "$node"; wait "$node"; } 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export ERL_CRASH_DUMP_BYTES=0
unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS

cd "$dir"
erlc "$source/pause.erl"
erl -noshell -noinput -run pause build "$source" "$dir" -run init stop

# What the stock start_erl does: start_erl.data names the runtime and the release to boot.
read -r erts release <root/releases/start_erl.data
export ROOTDIR=$dir/root BINDIR=$dir/root/erts-$erts/bin EMU=beam PROGNAME=erl
boot=$ROOTDIR/releases/$release

printf '| rows | upgrade ms | downgrade ms | without ms |\n|---:|---:|---:|---:|\n'
read -ra sizes <<<"$1"
"$BINDIR/erlexec" -noshell -noinput -mode embedded -boot "$boot/start" -config "$boot/sys" \
  -run pause measure "$2" "${sizes[@]}" &
node=$!
code=0
wait "$node" || code=$?
node=
exit "$code"
