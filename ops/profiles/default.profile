# ramet profile "default": what every image leaves out, and what is a private key.
# One rule a line. class=leave: files that match path are not taken. class=key: files that match
# are private keys, which `ramet image create --dry-run` lists; those with PEM keys in them are
# found by their contents. A path with a slash is matched from the root of the system, '*' does
# not cross slashes; one without is a name anywhere. `what` is the reason, for people.
# What is made anew on each target (identity, host keys, seeds, leases) is in docs/spec/3-facts.md.
class=profile name=default version=1

class=leave path=/swapfile what=swap
class=leave path=/swap.img what=swap
class=leave path=/tmp/* what=temporary
class=leave path=/var/crash/* what=crash-dump
class=leave path=/var/lib/systemd/coredump/* what=crash-dump
class=leave path=/var/cache/apt/archives/*.deb what=cache
class=leave path=/var/cache/apt/*.bin what=cache
class=leave path=/var/cache/dnf/* what=cache
class=leave path=/var/cache/yum/* what=cache

class=key path=/etc/ssl/private/* what=tls
class=key path=/etc/letsencrypt/archive/*/privkey*.pem what=tls
class=key path=/etc/krb5.keytab what=kerberos
class=key path=/etc/wireguard/* what=vpn
class=key path=/etc/openvpn/*.key what=vpn
class=key path=/etc/ipsec.secrets what=vpn
class=key path=/etc/NetworkManager/system-connections/* what=network
class=key path=/etc/netplan/* what=network
class=key path=/etc/wpa_supplicant/*.conf what=network
class=key path=/etc/luks/* what=disk
class=key path=/etc/cryptsetup-keys.d/* what=disk
class=key path=/root/.gnupg/private-keys-v1.d/* what=gpg
class=key path=/home/*/.gnupg/private-keys-v1.d/* what=gpg
class=key path=*.p12 what=tls
class=key path=*.pfx what=tls
class=key path=*.jks what=tls
