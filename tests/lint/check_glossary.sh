#!/bin/bash
# Words that docs/glossary.md forbids (its column "not", in backticks) stand in no message, help
# text, page or comment. Names in the code and text in backticks are free.
set -u
export LC_ALL=C
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
page=${1:-docs/glossary.md}

# The last column of each row, a word or phrase a line.
forbidden=$(grep -E '^\|.*\|$' "$page" | awk -F'|' '{ print $(NF - 1) }' |
  grep -oE '`[^`]+`' | tr -d '`' | sort -u)
export FORBIDDEN=$forbidden
[ -n "$forbidden" ] || { echo "$page forbids nothing"; exit 1; }

# Every place where one stands, as "FILE:LINE: word". What is not text for people is blanked out
# first, with its line breaks kept.
find_words() {
  perl -0777 -ne '
    BEGIN { $words = join "|", map { quotemeta } split /\n/, $ENV{FORBIDDEN}; }
    sub blank { (my $text = $_[0]) =~ s/[^\n]/ /g; $text }
    my $text = $_;
    if ($ARGV =~ /\.md$/) {
      $text =~ s/^```.*?^```/blank($&)/gems;
      $text =~ s/`[^`\n]*`/blank($&)/ge;
    } elsif ($ARGV =~ /\.(c|h|proto|lua)$/) {
      my ($comment, $kept) = ($ARGV =~ /lua$/ ? "--" : "//", "");
      while ($text =~ /\G(?:(\Q$comment\E[^\n]*)|"((?:[^"\\\n]|\\.)*)"|\x27((?:[^\x27\\\n]|\\.)*)\x27|(.))/gs) {
        $kept .= $1 // (defined $2 ? " $2 " : defined $3 ? " $3 " : $4 eq "\n" ? "\n" : " ");
      }
      $text = $kept;
    } else {
      $text =~ s/^(?!#).*$/blank($&)/gem;
      $text =~ s/`[^`\n]*`/blank($&)/ge;
    }
    while ($text =~ /(?<![\w\x27-])(?:$words)(?![\w-])/gi) {
      my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
      print "$ARGV:$line: \"$&\"\n";
    }' "$@"
}

places=$({ find lib broker workers console gateway proto -name '*.[ch]' -o -name '*.lua' -o -name '*.proto'
    find ops -type f
    find . -name build -prune -o -name '.?*' -prune -o -name '*.md' -printf '%P\n'; } | sort -u |
  grep -vxE "$page|ops/(profiles|thin)/.*" | while IFS= read -r file; do
    [ -f "$file" ] && printf '%s\0' "$file"
  done | xargs -0 bash -c "$(declare -f find_words)"'; find_words "$@"' bash)
[ -z "$places" ] || { echo "$page forbids these words:"; echo "$places"; exit 1; }
