#!/usr/bin/env bash
# Builds Kubo into kubo/ipfs through Go's own module proxy, where Go is there. Kubo's go.mod has an exclusion, with which
# `go install` refuses it, so that it is built as the main module.
set -euo pipefail

version=v0.41.0
cd "$(dirname "$0")"
if ! command -v go >/dev/null; then
    echo "go is not there: the tests with Kubo are skipped" >&2
    exit 0
fi
if [ -x kubo/ipfs ] && [ "$(cat kubo/version 2>/dev/null)" = "$version" ]; then
    exit 0
fi
give_up() {
    echo "Kubo $version could not be $1: the tests with Kubo are skipped" >&2
    exit 0
}
source=$(go mod download -json "github.com/ipfs/kubo@$version" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p') || give_up fetched
[ -n "$source" ] || give_up fetched
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
cp -r "$source/." "$work"
chmod -R u+w "$work"
mkdir -p kubo
output=$PWD/kubo/ipfs
(cd "$work" && nice go build -mod=mod -trimpath -o "$output" ./cmd/ipfs) || give_up built
echo "$version" >kubo/version
