#!/bin/bash
# Refuses an include that the arrows of CMake do not have, an arrow (NEEDS) that no include uses, an
# arrow to a floor above, an include that does not name its room, and one of a header that is private
# to another room. Floors are the folders of the top CMakeLists.txt, lowest first.
set -u
cd "${RAMET_SOURCE:-$(dirname "$0")/../..}" || exit 1
find lib broker workers console gateway -name '*.[ch]' -print | sort | perl -e '
  use strict; use warnings;
  my ($bad, $number, %floor, %needs, %owner) = (0, 0);
  sub text { open my $in, "<", $_[0] or die "$_[0]: $!"; local $/; my $all = <$in>; $all =~ s/^\s*#(?!include).*//mg if $_[1]; $all }
  sub wrong { print "@_\n"; $bad = 1 }
  # The room of a path as an include names it. The agent folder has three.
  sub room { my $path = $_[0]; $path =~ s{^(lib|workers)/}{};
    $path =~ m{^agent/(diskw|disk_tools)/} ? $1 : $path =~ m{^(\w+)/} ? $1 : undef }
  for my $folder (text("CMakeLists.txt", 1) =~ /^add_subdirectory\((\S+)\)/mg) {
    $number++;
    my $rules = text("$folder/CMakeLists.txt", 1);
    while ($rules =~ /ramet_(library|program)\((\S+)\s+SOURCES\s+(.*?)\bNEEDS\s+(.*?)(?:\bUSES\b.*?)?\)/gs) {
      my ($kind, $name, $sources, $arrows) = ($1, $2, $3, $4);
      $floor{$name} = $number + ($kind eq "program" ? 0.9 : $name eq "disk_tools" ? 0 : 0.5);
      $needs{$name} = {map { $_ => 0 } $arrows =~ /ramet::(\w+)/g};
      $owner{"$folder/$_"} = $name for $kind eq "program" ? $sources =~ /([\w\/]+\.c)/g : ();
    }
  }
  while (my $file = <STDIN>) {
    chomp $file;
    my $own = $owner{$file} // room($file);
    wrong("$file: its folder is no room of CMake"), next unless $needs{$own};
    for my $include (text($file) =~ /^#include "([^"]+)"/mg) {
      next if $include eq "ramet.pb-c.h";   # Made in the build tree; check_doors.sh has it
      my $room = room($include);
      wrong("$file: \"$include\" does not name its room"), next unless $room;
      my ($there) = grep { -f } "lib/$include", "workers/$include", $include;
      wrong("$file: there is no $include"), next unless $there;
      wrong("$file: $include is private to $1") if $room ne $own && $room ne room($file) && text($there) =~ m{Private\s+to\s+(?://\s+)?([\w/]+)};
      next if $room eq $own;
      if (exists $needs{$own}{$room}) { $needs{$own}{$room}++ }
      # A main.c sees what its library is made of.
      elsif (!$owner{$file} || !grep { exists $needs{$_}{$room} } keys %{$needs{$own}}) {
        wrong("$file: $own does not have ramet::$room in its NEEDS, for $include")
      }
    }
  }
  for my $one (sort keys %needs) {
    for my $other (sort keys %{$needs{$one}}) {
      wrong("$one needs ramet::$other, and no include of it uses that") unless $needs{$one}{$other};
      wrong("$one needs ramet::$other, which stands on no lower floor") unless $floor{$other} && $floor{$other} < $floor{$one};
    }
  }
  exit $bad'
