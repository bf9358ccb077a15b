// rmt_tcp - what the kernel knows of a TCP connection. Apart from other files, for the
// header of the kernel does not go together with that of the C library.
#pragma once

#include <stdint.h>

// A number that no other socket has had; 0 when fd is no socket.
uint64_t rmt_tcp_cookie(int fd);

// Octets that the peer has sent and this process has read; 0 when it is not known.
uint64_t rmt_tcp_received(int fd);
