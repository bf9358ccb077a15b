#!/bin/bash
# The name of the source is replaced where it is its name, and nowhere else (P23, [3.30], [3.31]): of
# /etc/hosts the own entries, of a table of places the own name; what else mentions it is a warning of
# the plan with file and line ([3.34]).
. "$(dirname "$0")/lib.sh"
farm_up

# ---- A cloud image that is called localhost, in the way of Red Hat
disk cloud 48M
fill cloud 0 mke2fs -q -t ext4
at cloud 0 sh -ec 'echo localhost.localdomain >etc/hostname
printf "127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n::1         localhost localhost6.localdomain6\n10.9.8.7 db.corp localhost-db\n" >etc/hosts
mkdir -p etc/sysconfig; printf "NETWORKING=yes\nHOSTNAME=localhost.localdomain\n" >etc/sysconfig/network'
capture cloud
deploy cloud hostname=copy7.corp address=10.1.0.7/24
look cloud 0 cat etc/hosts >"$farm/hosts"
printf '127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n::1         localhost localhost6.localdomain6\n10.9.8.7 db.corp localhost-db\n10.1.0.7 copy7.corp copy7\n' |
  cmp - "$farm/hosts" || { cat "$farm/hosts" >&2; fail "/etc/hosts of a source that is called localhost"; }
look cloud 0 grep -qx HOSTNAME=copy7.corp etc/sysconfig/network || fail "/etc/sysconfig/network has another name"

# ---- A mail server beside machines with names like its own
disk mx 48M
fill mx 0 mke2fs -q -t ext4
at mx 0 sh -ec 'echo mx >etc/hostname
printf "127.0.0.1\tlocalhost\r\n127.0.1.1\tmx.old.lan mx\r\n10.9.8.7 mx2 mx-backup\r\n10.9.8.8\tmx.other.lan\t# another mx\r\n10.9.8.9 mx smtp imap\r\n" >etc/hosts
mkdir -p etc/postfix etc/exim4 etc/dhcp etc/snmp etc/conf.d etc/site
printf "myhostname = mx.old.lan\nmydestination = \$myhostname,\n  mx.old.lan mx localhost\nrelayhost = mx2.old.lan\n" >etc/postfix/main.cf
echo "dc_other_hostnames='"'mx.old.lan:lists.old.lan'"'" >etc/exim4/update-exim4.conf.conf
printf "send host-name \"mx\";\nrequest host-name;\n" >etc/dhcp/dhclient.conf
printf "sysName mx.old.lan\nsysContact root@mx2\n" >etc/snmp/snmpd.conf
echo "hostname='"'mx'"'" >etc/conf.d/hostname
printf "# of mx\nname = box\npeer = https://mx.old.lan/\n" >etc/site/app.ini
chmod 0640 etc/snmp/snmpd.conf; chown 7:8 etc/snmp/snmpd.conf'
capture mx
deploy mx hostname=copy address=10.1.0.8/24 domain=new.lan
grep -q '^warnings: .*/etc/site/app.ini:3: names the source' <<<"$said" || { echo "$said" >&2; fail "the plan does not warn of /etc/site/app.ini"; }
answers_no grep -q 'app.ini:1' <<<"$said" || fail "the plan warns of a comment"
is() { look mx 0 cat "$1" >"$farm/is"; printf '%b' "$2" | cmp - "$farm/is" || { cat "$farm/is" >&2; fail "$1 of the mail server's copy"; }; }
is etc/hosts '127.0.0.1\tlocalhost\r\n10.9.8.7 mx2 mx-backup\r\n10.9.8.8\tmx.other.lan\t# another mx\r\n10.1.0.8 copy.new.lan copy smtp imap\r\n'
is etc/postfix/main.cf 'myhostname = copy.new.lan\nmydestination = $myhostname,\n  copy.new.lan copy localhost\nrelayhost = mx2.old.lan\n'
is etc/exim4/update-exim4.conf.conf "dc_other_hostnames='copy.new.lan:lists.old.lan'\n"
is etc/dhcp/dhclient.conf 'send host-name "copy";\nrequest host-name;\n'
is etc/snmp/snmpd.conf 'sysName copy.new.lan\nsysContact root@mx2\n'
is etc/conf.d/hostname "hostname='copy'\n"
[ "$(look mx 0 stat -c '%a %u %g' etc/snmp/snmpd.conf)" = "640 7 8" ] || fail "a changed file has another owner or mode"

# ---- A tree without /etc/hosts, and a name that is a link
disk bare 48M
fill bare 0 mke2fs -q -t ext4
at bare 0 sh -ec 'rm -f etc/hosts; mkdir -p run; echo old.example >etc/name; ln -sf name etc/hostname; echo old.example >etc/mailname'
capture bare
deploy bare hostname=copy9
look bare 0 cat etc/hosts >"$farm/hosts"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 copy9\n' | cmp - "$farm/hosts" || fail "/etc/hosts is not made"
[ "$(look bare 0 cat etc/mailname)" = copy9.example ] || fail "/etc/mailname has another name"
grep -q '/etc/name:1: names the source' <<<"$said" || { echo "$said" >&2; fail "the plan does not warn of /etc/name"; }
echo "names: passed"
