#!/bin/bash
# A third-party header is included in its door alone (docs/architecture.md, Floors).
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
bad=0
# header pattern = folder, or folders with | between, that may include it
doors='protobuf-c/|ramet\.pb-c\.h=lib/wire
sodium\.h=lib/crypto
openssl/=lib/crypto
hiredis/=lib/state
archive(_entry)?\.h>=lib/archive
fuse_lowlevel\.h|fuse3/=lib/mount
lz4\.h=lib/store|lib/kernel
zlib\.h|lzma\.h|zstd\.h=lib/kernel
libkmod\.h=lib/kernel
libfdisk/=lib/disk
blkid/=lib/disk
libmount(/|\.h)=lib/disk
btrfsutil\.h=lib/disk
yaml\.h=lib/system
selinux/=lib/system
seccomp\.h=workers/agent/diskw
curl/=lib/http
jansson\.h=console|lib/power
microhttpd\.h=gateway
lua\.h|lauxlib\.h|lualib\.h=tests/sim
libsmartcols/=console'
while IFS= read -r row; do
  pattern=${row%=*}; folder=${row##*=}
  hits=$(grep -rnE "#include [<\"]($pattern)" --include='*.[ch]' lib broker workers console gateway tests |
    grep -vE "^($folder)/" || true)
  [ -z "$hits" ] || { echo "only $folder may include $pattern:"; echo "$hits"; bad=1; }
done <<<"$doors"
exit $bad
