#!/bin/bash
# Refuses a public name that two headers give: a type, a macro, a constant of an enum or a function.
# A reader who meets the name finds one place that says what it is. The farms of tests/integration are
# alternatives, of which a test takes one, so their headers do not count.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
find lib broker workers console gateway tests/tools -name '*.h' -print0 | sort -z | xargs -0 perl -0777 -e '
  use strict; use warnings;
  my ($bad, %place) = (0);
  for my $file (@ARGV) {
    open my $in, "<", $file or die "$file: $!";
    my $text = do { local $/; <$in> };
    $text =~ s{//[^\n]*|/\*.*?\*/}{}gs;
    my %own;    # A header may give a name for a build with and a build without a feature.
    $own{$1} = 1 while $text =~ /^\s*#\s*define\s+(\w+)/mg;
    $text =~ s/^\s*#(?:[^\n]*\\\n)*[^\n]*$//mg;
    $own{$1} = 1 while $text =~ /^typedef\b[^;{]*?\b(\w+)\s*;/mg;
    $own{$1} = 1 while $text =~ /^typedef\b[^;{]*?\(\s*\*?(\w+)\)\s*\(/mg;
    $own{$1} = 1 while $text =~ /^typedef\s[^;{(]*?(\w+_fn)\(/mg;
    $own{$1} = 1 while $text =~ /^\}\s*(\w+)\s*;/mg;
    while ($text =~ /\benum\s*\w*\s*\{([^}]*)\}/g) {
      my $members = $1; $own{$1} = 1 while $members =~ /(?:^|,)\s*(\w+)/g; }
    $own{$1} = 1 while $text =~ /^(?!typedef|static|return)\w[\w \t*]*?[ *](\w+)\([^;{}]*\)\s*(?:__attribute__[^;]*)?;/mg;
    push @{$place{$_}}, $file for keys %own; }
  for my $name (sort keys %place) {
    next if @{$place{$name}} == 1;
    print "$name is given by ", join(" and ", @{$place{$name}}), "\n"; $bad = 1; }
  print "no public names were found\n" and $bad = 1 unless keys %place > 1000;
  exit $bad'
