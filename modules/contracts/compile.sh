#!/usr/bin/env bash
# Compiles the contracts of this folder into <Name>.hex, the code that deploys each.
# Compiler and settings are pinned: the same source gives the same code everywhere.
set -euo pipefail
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --prefix "$work" solc@0.8.37
node "$work/node_modules/solc/solc.js" --optimize --bin --output-dir "$work/out" ./*.sol
for source in *.sol; do
    name="${source%.sol}"
    { printf '0x'; cat "$work"/out/*_"$name".bin; echo; } > "$name.hex"
done
