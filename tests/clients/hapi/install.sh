#!/usr/bin/env bash
# Builds the program that asks HAPI's validator, where a JDK and Maven are there. Where they are not, or there is nothing to
# fetch from, it says so in a line and ends well: the comparison is skipped then.
set -euo pipefail
cd "$(dirname "$0")"

skip() {
    echo "skipped: HAPI's validator is not asked, $1"
    rm -f target/installed
    exit 0
}

what=$(cat pom.xml src/main/java/*.java | cksum)
if [ "$(cat target/installed 2>/dev/null)" = "$what" ]; then
    exit 0
fi
command -v mvn >/dev/null || skip "there is no Maven"
command -v javac >/dev/null || skip "there is no JDK"
version=$(javac -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "${version:-0}" -ge 17 ] || skip "the JDK is older than 17"
rm -rf target
mvn --quiet --batch-mode compile || skip "Maven cannot build it"
echo "$what" >target/installed
