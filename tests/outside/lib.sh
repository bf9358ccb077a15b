# Sourced by the tests of machines as others have them: a source is a disk image, made by hand in a few
# lines, that goes through capture, plan and deployment to the first start of its copy. All cases of a
# script share one farm (tests/system/lib.sh). A case:
#
#   disk web 300M type=L,name=root          # $farm/web.source, with a GPT of one partition
#   fill web 1 mke2fs -q -t ext4            # a file system with the tree of a small Debian
#   at web 1 sh -c 'echo LABEL=x / ext4 >etc/fstab'     # a command in it, mounted read-write
#   capture web                             # image web-1; or: capture_refused web 'words'
#   plan web hostname=copy                  # target t-web; what the plan says is in $said
#   deploy web                              # until the copy has started as itself
#   [ "$(look web 1 cat etc/hostname)" = copy ] || fail "..."
. "$(dirname "${BASH_SOURCE[0]}")/../system/lib.sh"
loops=()
clean_up() {
  umount -R "$farm/at" "$farm/look" 2>/dev/null || true
  [ ${#loops[@]} -eq 0 ] || losetup -d "${loops[@]}" 2>/dev/null || true
  umount -l "$farm" 2>/dev/null || true
}
# In memory: sources and targets are synced often, and no power is cut here.
farm_up() { mount -t tmpfs -o mode=700 tmpfs "$farm"; lab up "$farm"; eval "$(lab sh "$farm")"; mkdir -p "$farm/at" "$farm/look"; }

# disk NAME SIZE [PARTITION...]: each PARTITION is a line of sfdisk; the first may be a line "label: dos".
# Without any the disk has no table.
disk() {
  local file=$farm/$1.source; rm -f "$file"; truncate -s "$2" "$file"; shift 2
  [ $# -gt 0 ] || return 0
  case $1 in label:*) ;; *) set -- "label: gpt" "$@" ;; esac
  printf '%s\n' "$@" | sfdisk -q "$file"
}

# attach FILE N [OPTION...]: sets loop to a device over partition N of a disk image, 0 for all of it.
attach() {
  local start=0 size=0 file=$1 number=$2; shift 2
  [ "$number" = 0 ] || read -r start size < <(sfdisk -J "$file" | jq -r --argjson n "$number" '.partitiontable |
    (.sectorsize // 512) as $s | .partitions[] | select(.node | test("[^0-9]p?\($n)$")) | "\(.start * $s) \(.size * $s)"')
  loop=$(losetup -f --show -o "$start" --sizelimit "$size" "$@" "$file")
  loops+=("$loop")
}
# A mount that another program has copied into its own namespace keeps the device, and what was written
# is not all in the file before it is free.
detach() {
  local file; file=$(losetup -n -O BACK-FILE "$loop")
  losetup -d "$loop"; unset "loops[-1]"
  wait_for 20 "the release of $loop" is_free "$loop" "$file"
}
is_free() { [ "$(losetup -n -O BACK-FILE "$1" 2>/dev/null)" != "$2" ]; }

# on NAME N COMMAND...: run it with the device of that partition as its last word.
on() { local loop; attach "$farm/$1.source" "$2"; "${@:3}" "$loop"; detach; }

# at NAME N COMMAND...: run it in the file system of that partition.
at() {
  local loop; attach "$farm/$1.source" "$2"
  mount ${options:+-o "$options"} "$loop" "$farm/at"
  (cd "$farm/at" && "${@:3}"); umount "$farm/at"; detach
}

# crash NAME N COMMAND...: the same, but the power is cut when the command has ended: nothing is
# unmounted, and the disk has what had come to it until then.
crash() {
  local loop; attach "$farm/$1.source" "$2"
  mount ${options:+-o "$options"} "$loop" "$farm/at"
  (cd "$farm/at" && "${@:3}")
  cp --sparse=always "$farm/$1.source" "$farm/crash"
  # Programs that hold files open at that moment have their process ids in $farm/left.
  [ ! -f "$farm/left" ] || { xargs kill <"$farm/left"; rm "$farm/left"; }
  wait_for 10 "the unmount of a crashed disk" umount "$farm/at"; detach
  mv "$farm/crash" "$farm/$1.source"
}

# fill NAME N MKFS...: a file system with a small tree, whose fstab names it by its UUID.
fill() {
  on "$1" "$2" "${@:3}" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; return 1; }
  at "$1" "$2" make_root
}
make_root() {
  make_tree "$PWD" 0
  printf 'UUID=%s / auto defaults 0 1\n' "$(blkid -p -s UUID -o value "$(findmnt -n -o SOURCE -T .)")" >etc/fstab
}

# lvm DEVICE PROGRAM WORD...: lvm_on, which must succeed.
lvm() { lvm_on "$@" 2>"$farm/lvm.log" || { cat "$farm/lvm.log" >&2; fail "$*"; }; }

# capture NAME: makes image NAME-1 of the disk; what the console says is in $said.
capture() {
  [ -f "$farm/run/source-$1.cfg" ] || lab source "$farm" "$1" "$farm/$1.source"
  said=$(ramet image create "$1" --name "$1-1" --wait --timeout 2m 2>&1) || { echo "$said" >&2; fail "$1 was not imaged"; }
}

# capture_refused NAME WORDS: no image is made, and the job says the words (a regular expression).
capture_refused() {
  local status=0
  lab source "$farm" "$1" "$farm/$1.source"
  said=$(ramet image create "$1" --name "$1-1" --wait --timeout 2m 2>&1) || status=$?
  [ $status -ne 0 ] || fail "$1 was imaged, which should be refused: $2"
  grep -Eq "$2" <<<"$said" || { echo "$said" >&2; fail "the image of $1 is not refused by: $2"; }
}

# plan NAME [FIELD=VALUE...]: the plan of image NAME-1 for the target t-NAME, whose disk has size
# (default: that of the source). Succeeds when it fits; $said has its lines "fits: yes", "reason: ...",
# "warnings: ...", and $farm/plan.json all of it.
plan() {
  local name=$1; shift
  lab target "$farm" "t-$name" "$farm/t-$name.disk" "${size:-$(stat -c %s "$farm/$name.source")}" --like "$name"
  [ $# -eq 0 ] || ramet target set "t-$name" "$@" >/dev/null
  ramet deploy plan "$name-1" --engine lab --json >"$farm/plan.json" || true
  said=$(jq -r --arg t "t-$name" '.items[] | select(.target == $t) | to_entries[] | select(.value | scalars) |
    "\(.key): \({"true": "yes", "false": "no"}[.value | tostring] // .value)"' "$farm/plan.json")
  grep -qx 'fits: yes' <<<"$said"
}
# plan_refused NAME WORDS [FIELD=VALUE...]: the plan says no, and why.
plan_refused() {
  local words=$2
  ! plan "$1" "${@:3}" || fail "$1 fits, which should be refused: $words"
  grep -Eq "$words" <<<"$said" || { echo "$said" >&2; fail "the plan of $1 does not say: $words"; }
  ! ramet deploy start "$1-1" --engine lab --targets "t-$1" --yes --wait --timeout 1m >"$farm/out" 2>&1 ||
    fail "the image of $1 was deployed, which should be refused: $words"
  [ "$(stat -c %b "$farm/t-$1.disk")" = 0 ] || fail "the disk of t-$1 was written before the refusal"
}

# deploy NAME [FIELD=VALUE...]: the plan, the installation and the first start of target t-NAME.
deploy() {
  local job
  plan "$@" || { echo "$said" >&2; fail "no plan for the image of $1"; }
  job=$(ramet deploy start "$1-1" --engine lab --targets "t-$1" --yes) || fail "the deployment of $1 was not ordered"
  await_phase "$job" "t-$1" awaiting-first-boot 60
  lab boot "$farm" "t-$1" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "the first start of t-$1 failed"; }
  ramet job wait "$job" --timeout 30s >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "t-$1 did not start as itself"; }
}

# look NAME N COMMAND...: run it in partition N of the target t-NAME, mounted read-only.
look() {
  local loop status=0; attach "$farm/t-$1.disk" "$2" -r
  mount -o "ro${options:+,$options}" "$loop" "$farm/look"
  (cd "$farm/look" && "${@:3}") || status=$?
  umount "$farm/look"; detach; return $status
}

# ---- Machines with several disks: a file of the farm for each, NAME.source and NAME-b.source of a source

# target NAME FILE...: the target t-NAME, whose disks are these files of the farm, like the source $like.
target() {
  local name=$1 file first=$farm/$2 more=(); shift 2
  for file in "$@"; do more+=(--disk "$farm/$file"); done
  lab target "$farm" "t-$name" "$first" "${more[@]}" --like "$like"
}
# judge IMAGE TARGET [OPTION...]: its plan; $said has "fits: ...", "reason: ..." and "ROLE -> FILE" for each role.
judge() {
  ramet deploy plan "$1-1" --engine lab --explain --json "${@:3}" >"$farm/plan.json" || true
  said=$(jq -r --arg t "t-$2" '.items[] | select(.target == $t) |
    "fits: \(if .fits then "yes" else "no" end)", "reason: \(.reason)",
    (.choice[]? | select(.class == "choice") | "\(.role) -> \(.name | sub(".*/"; ""))")' "$farm/plan.json" | sort)
}
says() { grep -Eq "$1" <<<"$said" || { echo "$said" >&2; fail "the plan does not say: $1"; }; }
# install IMAGE TARGET [OPTION...]: until the copy has started as itself.
install() {
  local job
  job=$(ramet deploy start "$1-1" --engine lab --targets "t-$2" --yes "${@:3}") || fail "t-$2 was not ordered"
  await_phase "$job" "t-$2" awaiting-first-boot 60
  lab boot "$farm" "t-$2" >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "the first start of t-$2 failed"; }
  ramet job wait "$job" --timeout 30s >"$farm/out" 2>&1 || { cat "$farm/out" >&2; fail "t-$2 did not start as itself"; }
}
