#!/bin/bash
# A third-party header is included in its door alone (docs/architecture.md, Floors).
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
bad=0
# header pattern | folders that may include it
doors='protobuf-c/|ramet\.pb-c\.h=lib/wire
sodium\.h=lib/crypto
openssl/=lib/crypto
hiredis/=lib/state
lz4\.h=lib/store
archive(_entry)?\.h>=lib/archive
libfdisk/=lib/machine
blkid/=lib/machine
btrfsutil\.h=lib/machine
jansson\.h=console
libsmartcols/=console'
while IFS= read -r row; do
  pattern=${row%=*}; folder=${row##*=}
  hits=$(grep -rnE "#include [<\"]($pattern)" --include='*.[ch]' lib broker workers console tests |
    grep -v "^$folder/" || true)
  [ -z "$hits" ] || { echo "only $folder may include $pattern:"; echo "$hits"; bad=1; }
done <<<"$doors"
exit $bad
