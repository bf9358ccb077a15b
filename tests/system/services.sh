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

# A Debian 12 that starts with System V's init, as FOLDER/sysv-12.tar.
make_sysv() { # FOLDER
  [ -f "$1/sysv-12.tar" ] && return 0
  mkdir -p "$1"
  mmdebstrap --quiet --variant=minbase --mode=root --include=sysvinit-core,ifupdown,iproute2,procps,hostname \
    bookworm "$1/sysv-12.$$.tar"
  mv "$1/sysv-12.$$.tar" "$1/sysv-12.tar"
}
