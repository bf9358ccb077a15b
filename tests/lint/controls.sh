#!/bin/bash
# Each lint refuses what it is for: one violation a lint, in a tree that has nothing else, or in a copy
# of the sources where a lint compares them with a page. A lint without a control is refused as well.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
top=$PWD
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
bad=0 count=0

small() { # A tree without a source
  mkdir -p "$tree"/{.ci,ops,docs,console,gateway,broker} "$tree"/lib/{base,wire} "$tree"/tests/{lint,tools} "$tree"/workers/agent
  cp .clang-format .clang-tidy .shellcheckrc "$tree"
}
whole() { # A copy of what lints read
  mkdir -p "$tree"
  cp -r .ci CMakeLists.txt broker cmake console docs gateway lib ops proto tests workers "$tree"
}
put() { printf '%s\n' "${@:2}" >"$tree/$1"; }

# Each plants a violation, or several, and prints what the lint must say: all of these lines.
plant_before_arm() { whole; sed -i '/^| "FAT volume: %s" |/d' "$tree/docs/spec/9-before-arm.md"; echo "lacks: FAT volume: %s"; }
plant_clocks() { small; put lib/base/a.c 'long a(void) { return time(NULL); }'; put gateway/b.c 'long b(long *c) { return time(c); }'
  printf '%s\n' "lib/base/a.c:1" "gateway/b.c:1"; }
plant_commands() { whole; echo 'Look at it with `ramet job explode J`.' >>"$tree/docs/operating.md"; put lib/base/a.c 'const char *a = "see: ramet "' '"farm status";'
  printf '%s\n' "docs/operating.md: ramet job explode" "lib/base/a.c: ramet farm status"; }
plant_configure() { whole; sed -i '/^unset(__pkg_config_checked_CZMQ CACHE)/d' "$tree/cmake/Ramet.cmake"; echo "INCLUDES = .*mit-krb5"; }
plant_constants() { whole; sed -i 's/BEAT_MS 3000/BEAT_MS 3001/' "$tree/lib/net/rmt_peer.c"; echo "beat: lib/net/rmt_peer.c has 3001"; }
plant_doors() { small; put lib/base/a.c '#include <sodium.h>'; echo "lib/base/a.c:1"; }
plant_events() { whole; echo '| `planted.event` | info | never | key |' >>"$tree/docs/events.md"; echo "planted.event"; }
plant_failpoints() { whole; sed -i '/^## Failpoints/a | `planted.point` | never |' "$tree/docs/testing.md"; echo "planted.point"; }
plant_fields() { whole; put lib/facts/a.c 'void a(void) { rmt_record_set(a, "planted-field", "1"); }'; echo "planted-field"; }
plant_floors() { whole; put lib/base/a.c '#include "wire/rmt_msg.h"'; echo "base does not have ramet::wire in its NEEDS"; }
plant_format() { small; put lib/base/a.c 'int  a;'; echo "lib/base/a.c:1"; }
plant_glossary() { whole
  local word; word=$(grep -E '^\|.*\|$' docs/glossary.md | awk -F'|' '{ print $(NF - 1) }' | grep -oE '`[a-z]+`' | head -n 1 | tr -d '`')
  echo "A $word is planted." >>"$tree/docs/operating.md"; echo "docs/operating.md:[0-9]*: .$word"; }
plant_headers() { small; put lib/base/a.h 'planted_t *a(void);'; echo "lib/base/a.h does not stand alone"; }
plant_help() { small; put ops/a '#!/bin/bash' 'touch planted'; chmod +x "$tree/ops/a"; echo "made: planted"; }
plant_manual() { whole; sed -i 's/"limit", "N"/"limit", "COUNT"/' "$tree/console/command.c"; sed -i 's/{"beat-ms", /{"planted-ms", /' "$tree/broker/settings.c"
  printf '%s\n' "man/ramet.1 lacks .*limit COUNT" "man/ramet.cfg.5 lacks the setting planted-ms"; }
plant_planted() { whole; sed -i 's/^appendfsync always/appendfsync no/' "$tree/ops/redis.conf"; echo '| P99 | A planted promise. | | | |' >>"$tree/docs/promises.md"
  printf '%s\n' "ops/redis.conf does not have the text of the fault" "breaks P99"; }
plant_rules() { whole; echo '- [1.99] A planted rule MUST be named by a test.' >>"$tree/docs/spec/1-wire.md"; echo "1\.99"; }
plant_scripts() { small; put ops/a '#!/bin/bash'; echo "ops/a: it begins with"; }
plant_shell() { small; put ops/a '#!/bin/bash' 'rm $1'; echo "ops/a:2.*SC2086"; }
plant_sizes() { small; { echo 'void a(void)'; echo '{'; seq -f 'a(%g);' 71; echo '}'; } >"$tree/lib/base/a.c"; echo "a function of 71 lines"; }
plant_sleeps() { small; put tests/a.sh '#!/bin/bash' 'true; sle''ep 2' "b='while sle""ep 3'"; printf '%s\n' "tests/a.sh:2" "tests/a.sh:3"; }
plant_states() { whole; echo "job.state = 'done'" >>"$tree/lib/state/ramet_jobs.lua"; echo "a state is written"; }
plant_trees() { whole; echo 'int a(void) { return open("etc/fstab", 0); }' >>"$tree/lib/system/rmt_os.c"; echo "etc/old ; open(gone, ; planted" >>"$tree/tests/lint/own_paths"
  printf '%s\n' 'lib/system/rmt_os.c:.*use rmt_rooted' 'nothing in etc/old needs: open(gone,'; }
plant_tidy() { small
  put lib/base/a.c '#include <string.h>' 'int a(const char *b);' 'int a(const char *b) { if (strcmp(b, "c")) return 1; return 0; }'
  put tests/b.c 'const int b = 1.5;'
  jq -n --arg d "$tree" '[("lib/base/a.c", "tests/b.c") | {directory: $d, command: "cc -Wall -Werror -c \(.)", file: "\($d)/\(.)"}]' \
    >"$tree/compile_commands.json"
  printf '%s\n' "suspicious-string-compare" "literal-conversion"; }
plant_types() { small; put lib/base/a.h '#define RMT_PLANTED 1'; put lib/wire/b.h '#define RMT_PLANTED 2'; echo "RMT_PLANTED"; }
plant_units() { small; mkdir -p "$tree/ops/units"; cp ops/units/* "$tree/ops/units"
  sed -i 's/^NoNewPrivileges=yes/NoNewPrivileges=maybe/' "$tree/ops/units/ramet-imager.service"; sed -i '/^SystemCallFilter/d; /^Protect/d; /^User/d' "$tree/ops/units/ramet-broker.service"
  printf '%s\n' "ramet-imager.service.*maybe" "ramet-broker.service.*exposure"; }
plant_unused() { small; put tests/lint/debts 'M1 planted'; put lib/base/a.h 'void planted(void);' 'void other(void);'
  put lib/base/a.c 'void' 'planted(void)' '{' '    planted();' '}'; put lib/base/b.c 'void' 'b(void)' '{' '    other();' '}'
  echo "lib/base/a.h: no other file calls planted$"; }
plant_verbs() { whole; sed -i '/{"lock.break", /s/ADMIN/WORK/' "$tree/broker/verbs.c"; echo "< lock.break admin,operator"; }
plant_words() { small; put lib/base/a.c "// TO""DO: planted"; echo "lib/base/a.c:1"; }
plant_riddles() { small; put lib/base/a.c 'void a(void) { say("which planted job?"); }'
  put lib/base/b.lua "need(a, 'there is no ' .. 'planted', 'nobody serves planted')"; put ops/a '#!/bin/bash' 'die "what is planted is no token"'
  echo "6 riddles"; }

for script in tests/lint/check_*.sh; do
  name=${script##*/check_}; name=${name%.sh}
  [ "$(type -t "plant_$name")" = function ] || { echo "tests/lint/controls.sh has no control for $name"; bad=1; continue; }
  tree=$work/$name
  words=$("plant_$name")
  build=${RAMET_BUILD:-$top/build/release}
  [ "$name" != tidy ] || build=$tree
  said=$(RAMET_SOURCE=$tree RAMET_BUILD=$build "$top/$script" 2>&1); status=$?
  count=$((count + 1))
  missing=$(while read -r word; do grep -q -- "$word" <<<"$said" || echo "$word"; done <<<"$words")
  if [ $status -eq 0 ] || [ -n "$missing" ]; then
    echo "lint.$name does not refuse what was planted (status $status, wanted: $missing):"; head -n 5 <<<"$said"; bad=1
  fi
  rm -rf "$tree"
done
echo "$count lints refuse what they are for"
exit $bad
