// uplink - the addresses of this machine, or the reason why each card has none.
#pragma once

// "10.0.2.15 on eth0, ..." of all that is not loopback or link-local; NULL when there
// is none. Caller owns the result (free).
char *rmt_uplink_addresses(void);

// Why there is no address, by the wired cards below the folder sys ("/sys").
// Caller owns the result (free).
char *rmt_uplink_trouble(const char *sys);
