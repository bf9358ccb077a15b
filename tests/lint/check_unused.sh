#!/bin/bash
# Refuses a function that a header declares and no file calls but its own: what its file alone calls is
# static, and what nothing calls is dead. The call of a test is no call, unless the comment of the
# declaration says "for tests". The head of a header may name a debt (tests/lint/debts) that its functions
# wait for ("Pn is a debt").
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
find lib broker workers console gateway -name '*.[ch]' -print0 | sort -z | xargs -0 perl -e '
  use strict; use warnings;
  my (%declared, %used, %debt, $bad);
  open my $debts, "<", "tests/lint/debts" or die "tests/lint/debts: $!";
  /^(\w+)/ and $debt{$1} = 1 while <$debts>;
  for my $file (@ARGV) {
    open my $in, "<", $file or die "$file: $!";
    my ($code, $comment, $head, $waits) = ("", "", 1, 0);
    while (my $line = <$in>) {
      if ($line =~ m{^//(.*)}) {
        my $words = $1;
        $comment = "" unless $comment =~ s/\n\z/ /;    # The next line of the same comment
        $comment .= "$words\n";
        next; }
      $waits = 1 if $head && $comment =~ /\b([MP]\d+) is a debt\b/ && $debt{$1};
      $head = 0;
      $comment =~ s/\n\z//;
      my $here = $line =~ s{//(.*)}{} ? "$comment $1" : $comment;
      $line =~ s/"(?:\\.|[^"\\])*"/""/g;
      $code .= $line;
      next unless $file =~ /\.h$/ && !$waits && $here !~ /\bfor tests\b/i;
      $declared{$1} //= $file if $line =~ /^(?!typedef|static|return|\s|#)\w[\w \t*]*?[ *](\w+)\(/; }
    my %count;
    $count{$1}++ while $code =~ /\b([a-z]\w+)\b/g;
    $count{"$1_destroy"}++ while $code =~ /\brmt_auto\((\w+)\)/g;
    for my $name (keys %count) {
      next if $file =~ /\.c$/ && $code =~ /^\Q$name\E\([^;]*?\)\s*\{/m;       # Its own file
      next if $file =~ /\.h$/ && $count{$name} == 1;                          # The declaration
      $used{$name} = 1; } }
  print "no declarations were found\n" and $bad = 1 unless keys %declared;
  for my $name (sort { "$declared{$a} $a" cmp "$declared{$b} $b" } keys %declared) {
    next if $used{$name};
    print "$declared{$name}: no other file calls $name\n"; $bad = 1; }
  exit($bad // 0)'
