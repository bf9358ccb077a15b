// Whether a command line gives a machine what belongs to it alone: its address, MAC,
// name or an interface (P23, [3.41]).
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_command.h"

typedef struct {
    const char *line; // Words with one blank between; one with a $ is known when it runs
    const char *what; // NULL: nothing
} row_t;

static bool
s_judge(const char *line, bool is_strict, char *what_out, size_t size)
{
    rmt_auto_str text = rmt_text("%s", line);
    rmt_command_t command = {.count = 0};
    char *rest = text;
    for (char *word; (word = strsep(&rest, " "));) {
        command.dynamic[command.count] = strchr(word, '$');
        command.words[command.count++] = word;
    }
    return rmt_command_judge(&command, is_strict, what_out, size);
}

static void
s_try(const row_t *rows, size_t count, bool is_strict)
{
    for (size_t i = 0; i < count; i++) {
        char what[120] = "";
        const bool found = s_judge(rows[i].line, is_strict, what, sizeof what);
        if (found != (rows[i].what != NULL) || (found && strcmp(what, rows[i].what) != 0))
            fail_msg("%s: not '%s' but '%s'", rows[i].line,
                     rows[i].what ? rows[i].what : "", what);
    }
}

#define TRY(is_strict, ...)                                                              \
    do {                                                                                 \
        static const row_t rows_[] = {__VA_ARGS__};                                      \
        s_try(rows_, sizeof rows_ / sizeof *rows_, is_strict);                           \
    } while (0)

static void
test_addresses_are_found_where_each_program_takes_them(void **state)
{
    (void) state;
    TRY(true, {"ip addr add 192.0.2.9/24 dev e0", "sets address 192.0.2.9/24"},
        {"ip a replace 192.0.2.9/24 dev e0", "sets address 192.0.2.9/24"},
        {"ip address change dev e0 192.0.2.9/24", "sets address 192.0.2.9/24"},
        {"ip a a dev e0 label e0:1 brd 192.0.2.255 scope global 2001:db8::9/64",
         "sets address 2001:db8::9/64"},
        {"ip a a broadcast 192.0.2.255 dev e0 192.0.2.9", "sets address 192.0.2.9"},
        {"ip -4 -n blue addr add 192.0.2.9/24 dev e0", "sets address 192.0.2.9/24"},
        {"ip -netns blue -family inet addr add 192.0.2.9 dev e0",
         "sets address 192.0.2.9"},
        {"ip -f inet6 addr add 2001:db8::9/64 dev e0", "sets address 2001:db8::9/64"},
        {"ip addr add $MY dev e0", "sets address $MY"}, {"ip addr add dev e0", NULL},
        {"ip addr add 127.0.0.2/8 dev lo", NULL}, {"ip addr del 192.0.2.9 dev e0", NULL},
        {"ip addr flush dev e0", NULL}, {"ip addr", NULL}, {"ip route add default", NULL},
        {"ip -4", NULL}, {"ip", NULL},
        {"ifconfig e0 192.0.2.9 netmask 255.255.255.0", "sets address 192.0.2.9"},
        {"ifconfig e0 inet broadcast 192.0.2.255 192.0.2.9", "sets address 192.0.2.9"},
        {"ifconfig e0 mtu 1500 netmask 255.255.255.0 up", NULL}, {"ifconfig e0", NULL},
        {"ifconfig lo 127.0.0.1", NULL},
        {"nmcli c modify a ipv4.addresses 192.0.2.9/24", "sets address 192.0.2.9/24"},
        {"nmcli c modify a +ipv6.addr 2001:db8::9/64", "sets address 2001:db8::9/64"},
        {"nmcli c add type ethernet ip4 192.0.2.9", "sets address 192.0.2.9"},
        {"nmcli c add type ethernet ip6 2001:db8::9", "sets address 2001:db8::9"},
        {"nmcli c modify a ipv4.addresses none", NULL}, {"nmcli c up a", NULL});
}

static void
test_macs_names_and_interfaces_are_found(void **state)
{
    (void) state;
    TRY(true,
        {"ip link set dev e0 address 02:00:00:00:00:09", "sets MAC 02:00:00:00:00:09"},
        {"ip l s e0 address $MAC", "sets MAC $MAC"}, {"ip link set e0 address any", NULL},
        {"ip link set e0 up", NULL},
        {"ip link add v7 type vlan id 7", "makes an interface of type vlan"},
        {"ip link add v7 address 02:00:00:00:00:09 type dummy",
         "sets MAC 02:00:00:00:00:09"},
        {"ip link set e0 master br0", "puts an interface into br0"},
        {"ip link delete v7", NULL}, {"ip link", NULL},
        {"ifconfig e0 hw ether 02:00:00:00:00:09", "sets MAC 02:00:00:00:00:09"},
        {"nmcli c modify a 802-3-ethernet.cloned-mac-address 02:00:00:00:00:09",
         "sets MAC 02:00:00:00:00:09"},
        {"nmcli c modify a 802-3-ethernet.cloned-mac-address permanent", NULL},
        {"macchanger -m 02:00:00:00:00:09 e0", "sets MAC 02:00:00:00:00:09"},
        {"macchanger --mac=02:00:00:00:00:09 e0", "sets MAC 02:00:00:00:00:09"},
        {"macchanger --mac=any e0", NULL}, {"macchanger -r e0", NULL},
        {"hostname old", "sets the name old"}, {"hostname -F /etc/hostname", NULL},
        {"hostname localhost", NULL}, {"hostname $NAME", NULL}, {"hostname", NULL},
        {"hostnamectl set-hostname old", "sets the name old"},
        {"hostnamectl hostname old", "sets the name old"}, {"hostnamectl status", NULL},
        {"hostnamectl", NULL}, {"sysctl -w kernel.hostname=old", "sets the name old"},
        {"sysctl kernel.hostname=$NAME", NULL}, {"sysctl -p", NULL},
        {"brctl addbr br0", "makes an interface of others: addbr"},
        {"vconfig add e0 7", "makes an interface of others: add"},
        {"ifenslave bond0 e0", "makes an interface of others: bond0"}, {"brctl", NULL});
}

// Of a script of a package: what it does depends on its settings.
static void
test_what_is_known_only_when_it_runs_counts_for_local_scripts_alone(void **state)
{
    (void) state;
    TRY(false, {"ip addr add $MY dev e0", NULL}, {"ip link set e0 address $MAC", NULL},
        {"ip link add v7 type vlan", NULL}, {"ip link set e0 master br0", NULL},
        {"ifconfig e0 $MY", NULL}, {"brctl addbr br0", NULL},
        {"ip addr add 192.0.2.9/24 dev e0", "sets address 192.0.2.9/24"});
}

static void
test_words_before_a_command_are_passed_over(void **state)
{
    (void) state;
    TRY(true, {"if ! hostname old", "sets the name old"},
        {"exec /usr/bin/sudo LANG=C nice /bin/hostname old", "sets the name old"},
        {"-@/bin/hostname old", "sets the name old"}, {"@reboot root hostname old", NULL},
        {"echo hostname old", NULL}, {"A=b", NULL}, {"then", NULL},
        {"=b hostname old", NULL});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_found_where_each_program_takes_them),
        cmocka_unit_test(test_macs_names_and_interfaces_are_found),
        cmocka_unit_test(
            test_what_is_known_only_when_it_runs_counts_for_local_scripts_alone),
        cmocka_unit_test(test_words_before_a_command_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
