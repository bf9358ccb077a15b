# Sourced: the thin-kernel of this build, beside its programs; made again when it is older than what
# goes into it. RAMET_THIN names a folder with another one.

thin_is_fresh() { # FOLDER
  local file
  [ -f "$1/vmlinuz" ] && [ -f "$1/initramfs" ] || return 1
  for file in "$bin/ramet-agent" "$bin/ramet-diskw" "$top/ops/thin-kernel" "$top"/ops/thin/*; do
    [ "$1/initramfs" -nt "$file" ] || return 1
  done
}

# thin_kernel [FLAVOUR]: its folder. Several may ask at once, one builds.
thin_kernel() {
  local flavour=${1:-cloud} folder
  [ -z "${RAMET_THIN:-}" ] || { printf %s "$RAMET_THIN"; return; }
  folder=$(dirname "$bin")/thin-$flavour
  mkdir -p "$folder"
  (
    flock 9
    thin_is_fresh "$folder" || RAMET_BIN=$bin "$top/ops/thin-kernel" --flavour "$flavour" "$folder" >&2
  ) 9>"$folder/lock" || return 1
  printf %s "$folder"
}
