#!/bin/bash
# Refuses numbers of tests/lint/constants that differ between their places, and codes of errors that
# differ between rmt_error.h and docs/spec/1-wire.md; the Lua library is built with those of rmt_error.h.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
perl -e '
  use strict; use warnings;
  my ($bad, %text, %value, %place) = (0);
  my %unit = ("" => 1, ms => 1, s => 1000, min => 60000, KiB => 1024, MiB => 1048576);
  sub text { my $file = $_[0];
    $text{$file} //= do { open my $in, "<", $file or die "$file: $!"; local $/; <$in> } }
  sub wrong { print "@_\n"; $bad = 1 }
  sub meet { my ($name, $place, $value) = @_;
    if (!exists $value{$name}) { $value{$name} = $value; $place{$name} = $place }
    elsif ($value{$name} != $value) { wrong("$name: $place{$name} has $value{$name}, $place has $value") } }
  for my $row (grep { /^[^#]/ } split /\n/, text("tests/lint/constants")) {
    my ($name, $file, $words, $factor) = split / ; /, $row;
    my @found = text($file) =~ /\Q$words\E\s*(?:\(+\w+_t\)\s*)?([0-9][0-9 *+]*)(KiB|MiB|min|ms|s)?\b/g;
    wrong("$name: not once in $file: $words"), next if @found != 2;
    meet($name, $file, eval($found[0]) * $unit{$found[1] // ""} * ($factor // 1));
  }
  sub codes { my ($file, @pairs) = @_;
    wrong("$file: no codes were found") unless @pairs;
    while (my ($name, $value) = splice @pairs, 0, 2) { meet("code " . lc($name) =~ tr/-/_/r, $file, $value) } }
  my $header = text("lib/base/rmt_error.h");
  codes("lib/base/rmt_error.h", $header =~ /^    RMT_(?:E_)?([A-Z_]+) = (\d+)/mg);
  my ($page) = text("docs/spec/1-wire.md") =~ /^## 11 Codes(.*?)^The meaning/ms;
  codes("docs/spec/1-wire.md", reverse(($page // "") =~ /\| (\d+) \| ([a-z-]+)(?= \|)/g));
  exit $bad'
