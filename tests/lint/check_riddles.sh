#!/bin/bash
# No message, help text or answer is a riddle: tests/lint/riddles has the turns of phrase that an
# administrator must read twice, and what a sentence says instead.
set -u
export LC_ALL=C
RIDDLES=$(realpath "${1:-$(dirname "$0")/riddles}"); export RIDDLES
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1

# Texts for people: literals with a blank in C (joined as the compiler joins them) and in Lua, and
# the words after die and say in the scripts of ops/.
find_riddles() {
  perl -0777 -ne '
    BEGIN {
      open my $table, "<", $ENV{RIDDLES} or die;
      local $/ = "\n";
      while (<$table>) { chomp; next if /^#/ || !/\t/; push @riddles, [split /\t/, $_, 2]; }
    }
    sub judge { my ($text, $at) = @_;
      return if $text !~ /[a-z] [a-z%"]/i;
      for my $riddle (@riddles) {
        next if $text !~ /$riddle->[0]/i;
        my $line = 1 + (substr($_, 0, $at) =~ tr/\n//);
        print "$ARGV:$line: \"$text\"; instead: $riddle->[1]\n";
      }
    }
    if ($ARGV =~ /\.[ch]$/) {
      while (/\G(?:\/\/[^\n]*|\x27(?:[^\x27\\\n]|\\.)*\x27|("(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI\w+\s*)?"(?:[^"\\\n]|\\.)*")*)|.)/gs) {
        next if !defined $1;
        my ($text, $at) = ($1, $-[1]);
        $text =~ s/"\s*(?:PRI\w+\s*)?"//g;
        judge(substr($text, 1, -1), $at);
      }
    } elsif ($ARGV =~ /\.lua$/) {
      while (/\G(?:--[^\n]*|\x27((?:[^\x27\\\n]|\\.)*)\x27|.)/gs) { judge($1, $-[0]) if defined $1; }
    } else {
      while (/\b(?:die|say) "((?:[^"\\]|\\.)*)"/g) { judge($1, $-[0]); }
    }' "$@"
}

found=$({ find lib broker workers console gateway -name '*.[ch]' -o -name '*.lua'; find ops -type f; } | sort |
  tr '\n' '\0' | xargs -0 bash -c "$(declare -f find_riddles)"'; find_riddles "$@"' bash)
[ -z "$found" ] || { echo "$found"; echo "$(wc -l <<<"$found") riddles: tests/lint/riddles"; exit 1; }
