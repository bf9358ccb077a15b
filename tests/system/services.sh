# Sourced by tests that need real services: a Debian 12 with every network stack and sshd in
# it, made once and kept as FOLDER/services-12.tar, so that none is installed on this computer.
make_services() { # FOLDER
  [ -f "$1/services-12.tar" ] && return 0
  mkdir -p "$1"
  mmdebstrap --quiet --variant=minbase --mode=root \
    --include=systemd-sysv,ifupdown,netplan.io,network-manager,iproute2,procps,openssh-server \
    bookworm "$1/services-12.$$.tar"
  mv "$1/services-12.$$.tar" "$1/services-12.tar"
}
