#!/bin/bash
# M20: what goes wrong in the disk writer is told at the console in the writer's own words, whichever
# moment the other half hears them at.
. "$(dirname "$0")/lib.sh"
make_tree "$farm/tree" 8
lab up "$farm"
eval "$(lab sh "$farm")"
lab source "$farm" web "$farm/tree"
mkdir "$farm/path"
printf '#!/bin/sh\necho "mke2fs: this disk smells" >&2\nexit 1\n' >"$farm/path/mke2fs"
chmod 755 "$farm/path/mke2fs"
(PATH=$farm/path:$PATH; lab target "$farm" n1 "$farm/n1.disk" 1G --like web)
ramet image create web --name web-1 --wait --timeout 2m
expect 2 ramet deploy start web-1 --engine lab --targets n1 --yes --wait --timeout 2m
job=$(ramet job list --json | jq -r '[.items[] | select(.kind == "deploy")][0].name')
ramet job show "$job" --json | jq -r '.targets[0].error' >"$farm/error"
grep -q "this disk smells" "$farm/error" || fail "the console tells: $(cat "$farm/error")"
echo "writer's words: passed"
