#!/bin/bash
# An image whose symlinks lead to a mount point (P22): they lead there as on its machine, and never out of the
# folder that an image is checked out or mounted in, though this computer has the same path.
. "$(dirname "$0")/lib.sh"
clean_up() { fusermount3 -uz "$farm/at" 2>/dev/null; }
mkdir -p "$farm/at" "$farm/victim" "$farm/root/etc" "$farm/root/srv" "$farm/root$farm/victim" "$farm/data/deep"
echo mine >"$farm/victim/own"
echo root >"$farm/root/etc/hostname"
echo copied >"$farm/data/passwd"
echo copied >"$farm/data/deep/file"
uuid=11111111-2222-3333-4444-5555555555

# made NAME MOUNT: an image of a disk with two volumes, the second one of which is mounted at MOUNT.
made() {
  printf 'UUID=%s01 / ext4 defaults 0 1\nUUID=%s02 %s ext4 defaults 0 2\n' $uuid $uuid "$2" >"$farm/root/etc/fstab"
  truncate -s 130M "$farm/$1"
  printf 'label: gpt\nstart=2048, size=131072\nstart=133120, size=131072\n' | sfdisk -q --no-reread --no-tell-kernel "$farm/$1"
  mkfs.ext4 -q -F -U ${uuid}01 -d "$farm/root" -E offset=1048576 "$farm/$1" 64m
  mkfs.ext4 -q -F -U ${uuid}02 -d "$farm/data" -E offset=68157440 "$farm/$1" 64m
  lab source "$farm" "$1" "$farm/$1"
  ramet image create "$1" --name "$1-1" --wait --timeout 1m >"$farm/out" 2>&1 || { cat "$farm/out"; fail "no image of $1"; }
}
# shows FOLDER NAME PATH: all that the volume has is at this path below the folder, and nothing is outside.
shows() {
  [ "$(find "$farm/victim" -type f)" = "$farm/victim/own" ] && [ "$(cat "$farm/victim/own")" = mine ] ||
    fail "$2 has written outside: $(find "$farm/victim")"
  (cd "$farm/data" && find . -type f) | while read -r file; do
    cmp "$farm/data/$file" "$1$3/$file" || fail "$2 lacks $file at $3: $(find "$1")"
  done
}

lab up "$farm"
eval "$(lab sh "$farm")"
ln -s "$farm/victim" "$farm/root/srv/absolute"
ln -s ../../../../../../../../../../.."$farm/victim" "$farm/root/srv/relative"
ln -s "$farm" "$farm/root/srv/above"
while read -r name mount at; do
  made "$name" "$mount"
  mkdir "$farm/out-$name"
  ramet image checkout "$name-1" "$farm/out-$name" >"$farm/out" 2>&1 || { cat "$farm/out"; fail "the image $name-1 cannot be checked out"; }
  shows "$farm/out-$name" "the checkout of $name" "$at"
done <<END
absolute /srv/absolute $farm/victim
relative /srv/relative $farm/victim
above /srv/above/victim $farm/victim
missing /srv/missing/too /srv/missing/too
END

# An update looks for a volume at its mount point alone: it refuses a symlink there, of the image and of the
# folder, and a dry run makes no mount point.
for name in absolute above; do
  expect 2 ramet image checkout $name-1 "$farm/out-$name" --update --yes
  grep -q "a symlink of the image leads to the mount point /srv/$name" "$farm/out" || { cat "$farm/out"; fail "no word of the symlink"; }
  shows "$farm/out-$name" "an update that was refused" "$farm/victim"
done
mkdir -p "$farm/older/srv/absolute"
expect 2 ramet image checkout absolute-1 "$farm/older" --update --yes
grep -q "a symlink of the image leads to the mount point /srv/absolute" "$farm/out" || { cat "$farm/out"; fail "no word of a symlink that a folder lacks"; }
mv "$farm/out-missing/srv/missing" "$farm/out-missing/$farm/moved"; ln -s "$farm/moved" "$farm/out-missing/srv/missing"
expect 2 ramet image checkout missing-1 "$farm/out-missing" --update --yes
grep -q "an update follows no symlink" "$farm/out" || { cat "$farm/out"; fail "no word of the folder's symlink"; }
shows "$farm/out-missing" "an update that was refused" "$farm/moved/too"
mkdir "$farm/dry"
ramet image checkout missing-1 "$farm/dry" --update --dry-run >"$farm/out"
[ -z "$(ls -A "$farm/dry")" ] || fail "a dry run has made $(find "$farm/dry")"

is_told() { [ -s "$farm/mounted" ] || has_ended "$pid"; }
ramet image mount absolute-1 "$farm/at" >"$farm/mounted" 2>&1 & pid=$!
wait_for 30 "the line of the mount" is_told
shows "$farm/at" "the mount" "$farm/victim"
fusermount3 -u "$farm/at"
wait_for 10 "the end of the mount" has_ended "$pid"
echo "linked mount: passed"
