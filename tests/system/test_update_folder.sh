#!/bin/bash
# A folder with an older checkout is made that of a newer image: what is the same stays, little is fetched,
# what is kept stays, and without --yes nothing changes (M34, P9).
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 6
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
inode() { stat -c %i "$farm/copy/$1"; }
value() { jq -r ".$1" <<<"$told"; }

ramet image create web --name web-1 --wait
ramet image checkout web-1 "$farm/copy"
mkdir "$farm/tree/srv"
echo data >"$farm/tree/srv/data"
printf changed | dd of="$farm/tree/home/user/big1" bs=1 seek=500000 conv=notrunc status=none
mv "$farm/tree/usr/lib/f7" "$farm/tree/usr/lib/f7-renamed"
chmod 4755 "$farm/tree/usr/lib/f8"
rm "$farm/tree/home/user/f1.link"
ramet image create web --name web-2 --wait

# Without --yes it is refused, and a dry run tells it; neither changes anything.
big2=$(inode home/user/big2) f8=$(inode usr/lib/f8)
expect 2 ramet image checkout web-2 "$farm/copy" --update
told=$(ramet image checkout web-2 "$farm/copy" --update --dry-run --json)
[ "$(value removed)" = 2 ] || fail "the dry run says: $told"
expect 64 ramet image checkout web-2 "$farm/copy" --update --yes --keep /no/such
expect 64 ramet image checkout web-2 "$farm/copy" --keep /srv
[ ! -e "$farm/copy/srv" ] || fail "a refused update has written"

told=$(ramet image checkout web-2 "$farm/copy" --update --yes --json)
"$RAMET_BIN/ramet-compare" "$farm/tree" "$farm/copy" || fail "the folder is not as the source"
[ "$(inode home/user/big2)" = "$big2" ] || fail "a file that is the same was written"
[ "$(inode usr/lib/f8)" = "$f8" ] || fail "a file was written for its mode"
[ "$(value fetched)" -le $((1024 * 1024 + 5)) ] || fail "more than a chunk was fetched: $told"

# What is kept stays, as it is.
echo own >"$farm/copy/srv/data"
echo more >"$farm/copy/srv/own"
echo away >"$farm/copy/usr/lib/extra"
own=$(inode srv/own)
told=$(ramet image checkout web-2 "$farm/copy" --update --yes --keep /srv --json)
[ "$(value kept) $(value removed)" = "1 1" ] || fail "kept and removed: $told"
[ "$(cat "$farm/copy/srv/data") $(inode srv/own)" = "own $own" ] || fail "what was kept is another"
"$RAMET_BIN/ramet-compare" "$farm/tree" "$farm/copy" --ignore /srv || fail "the rest is not as the source"
told=$(ramet image checkout web-1 "$farm/copy" --update --yes --json)
[ ! -e "$farm/copy/srv" ] || fail "the way back leaves what the image lacks"
echo "update_folder: passed"
