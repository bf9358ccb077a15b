#!/bin/bash
# docs/events.md and the code have the same log events, with the same levels and fields.
# The data port hands its events to place.c, which chooses level and fields for them.
set -u
export LC_ALL=C
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
page=${1:-docs/events.md}

# A line "event levels fields" for each event, each list sorted.
of_code() {
  find lib broker workers console gateway -name '*.c' -print0 | sort -z | xargs -0 perl -0777 -ne '
    sub add { my ($event, $level, $fields) = @_;
      $level{$event}{$level} = 1;
      $fields{$event}{$_} = 1 for $fields =~ /(?:^| )([a-z-]+)=/g; }
    while (/\brmt_log\((?=[^;]*?RMT_)(.*?)\);/gs) {
      my ($level, $event, $format) = split /,/, $1 =~ s/\s+/ /gr, 3;
      my @levels = map { lc } $level =~ /RMT_(ERROR|WARN|INFO|DEBUG)\b/g;
      my @events = $event =~ /"([^"]+)"/g;
      next if $ARGV eq "workers/place/place.c" && !@events;
      print "$ARGV: a log event without a literal name\n" unless @events;
      my $text = join "", $format =~ /^ ?((?:"(?:[^"\\]|\\.)*"|[A-Z][A-Za-z0-9_]*| )+)/;
      for my $i (0 .. $#events) {
        my @own = @events > 1 && @levels == @events ? $levels[$i] : @levels;
        add($events[$i], $_, $text =~ s/" *[A-Za-z0-9_]* *"|"//gr) for @own;
      }
    }
    while (/\brmt_serve_tell\([^,]+, *"([^"]+)"/g) {
      my $event = $1;
      add($event, $event =~ /refused|damaged|broken|cut/ ? "warn" : "info", "key= text=");
    }
    END { printf "%s %s %s\n", $_, join(",", sort keys %{$level{$_}}),
                 join(",", sort keys %{$fields{$_}}) for sort keys %level }'
}

of_page() {
  perl -ne 'next unless /^\| `([a-z-]+\.[a-z.-]+)` \| ([a-z ]+?) \| .* \| ([a-z -]*?) \|$/;
            printf "%s %s %s\n", $1, join(",", sort split / /, $2), join(",", sort split / /, $3)
           ' "$page" | sort
}

# Each field of an event is explained once.
unexplained() {
  explained=$(sed -n '/^## Fields/,/^## Broker/p' "$page" | grep '^| `' | cut -d'|' -f2 |
    grep -oE '[a-z-]+' | sort)
  comm -23 <(of_page | cut -d' ' -f3 | tr ',' '\n' | sort -u) <(sort -u <<<"$explained")
}

difference=$(diff <(of_code | sort) <(of_page)) || {
  echo "$page differs from the code (< code, > page; event, levels, fields):"
  grep '^[<>]' <<<"$difference"
  exit 1
}
missing=$(unexplained)
[ -z "$missing" ] || { echo "$page does not explain these fields: ${missing//$'\n'/ }"; exit 1; }
