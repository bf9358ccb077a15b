#include "facts/rmt_shape.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MARKS ", "
#define VLAN_MAX 4094

const char *const RMT_SHAPE_FIELDS[] = {"kind", "ports", "mode", "vlan", "link", NULL};

static const char *const s_kinds[] = {"plain", "bond", "bridge", "vlan"};
static const char *const s_modes[] = {"balance-rr", "active-backup", "balance-xor",
                                      "broadcast",  "802.3ad",       "balance-tlb",
                                      "balance-alb"};

// ---- Words

int
rmt_shape_check_port(const char *word, rmt_error_t *error)
{
    char mac[RMT_MAC_TEXT_SIZE];
    return strchr(word, ':') ? rmt_address_parse_mac(word, mac, error)
                             : rmt_name_check_interface(word, error);
}

int
rmt_shape_check_kind(const char *word, rmt_error_t *error)
{
    for (size_t i = 1; i < sizeof s_kinds / sizeof *s_kinds; i++) {
        if (strcmp(word, s_kinds[i]) == 0)
            return 0;
    }
    return rmt_fail(error, RMT_E_USAGE, "'%.40s' is not bond, bridge or vlan", word);
}

int
rmt_shape_check_mode(const char *word, rmt_error_t *error)
{
    for (size_t i = 0; i < sizeof s_modes / sizeof *s_modes; i++) {
        if (strcmp(word, s_modes[i]) == 0)
            return 0;
    }
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.40s' is not a mode of bonds; write one such as active-backup or "
                    "802.3ad",
                    word);
}

int
rmt_shape_check_vlan(const char *word, rmt_error_t *error)
{
    const size_t size = strspn(word, "0123456789");
    const unsigned long number =
        size && size < 5 && !word[size] ? strtoul(word, NULL, 10) : 0;
    return number >= 1 && number <= VLAN_MAX && word[0] != '0'
               ? 0
               : rmt_fail(error, RMT_E_USAGE,
                          "'%.40s' is not the number of a VLAN; write one of 1 to %d",
                          word, VLAN_MAX);
}

// ---- One interface

static int
s_take_ports(rmt_interface_t *self, const char *value, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("%s", value);
    char *rest = text;
    for (char *word = strsep(&rest, LIST_MARKS); word; word = strsep(&rest, LIST_MARKS)) {
        if (!word[0])
            continue;
        if (self->port_count == RMT_NETWORK_PORTS_MAX)
            return rmt_fail(error, RMT_E_USAGE, "more than %d ports; remove some",
                            RMT_NETWORK_PORTS_MAX);
        rmt_network_port_t *port = &self->ports[self->port_count];
        if (rmt_shape_check_port(word, error) == -1)
            return -1;
        if (strchr(word, ':'))
            (void) rmt_address_parse_mac(word, port->mac, error);
        else
            snprintf(port->name, sizeof port->name, "%s", word);
        for (size_t i = 0; i < self->port_count; i++) {
            if (strcmp(self->ports[i].name, port->name) == 0 &&
                strcmp(self->ports[i].mac, port->mac) == 0)
                return rmt_fail(error, RMT_E_USAGE, "port %s is in the list twice", word);
        }
        self->port_count++;
    }
    return 0;
}

int
rmt_shape_take(rmt_interface_t *self, const char *field, const char *value,
               rmt_error_t *error)
{
    if (!*value)
        return 0;
    if (strcmp(field, "ports") == 0)
        return s_take_ports(self, value, error);
    if (strcmp(field, "kind") == 0) {
        if (rmt_shape_check_kind(value, error) == -1)
            return -1;
        for (rmt_shape_t i = RMT_SHAPE_BOND; i <= RMT_SHAPE_VLAN; i++)
            self->shape = strcmp(s_kinds[i], value) == 0 ? i : self->shape;
    } else if (strcmp(field, "mode") == 0) {
        if (rmt_shape_check_mode(value, error) == -1)
            return -1;
        snprintf(self->mode, sizeof self->mode, "%s", value);
    } else if (strcmp(field, "vlan") == 0) {
        if (rmt_shape_check_vlan(value, error) == -1)
            return -1;
        self->vlan = (unsigned) strtoul(value, NULL, 10);
    } else {
        if (rmt_name_check_interface(value, error) == -1)
            return -1;
        snprintf(self->link, sizeof self->link, "%s", value);
    }
    return 0;
}

int
rmt_shape_end(rmt_interface_t *self, rmt_error_t *error)
{
    if (self->shape == RMT_SHAPE_PLAIN && (self->vlan || self->link[0]))
        self->shape = RMT_SHAPE_VLAN;
    if (self->shape == RMT_SHAPE_PLAIN && self->port_count)
        self->shape = RMT_SHAPE_BOND;
    if (self->mode[0] && self->shape != RMT_SHAPE_BOND)
        return rmt_fail(error, RMT_E_USAGE,
                        "interface %s has a mode and is not a bond; set its ports",
                        self->role);
    if (self->shape == RMT_SHAPE_PLAIN)
        return 0;
    if (self->shape == RMT_SHAPE_VLAN
            ? !self->vlan || !self->link[0] || self->port_count
            : self->vlan || self->link[0] ||
                  (self->shape == RMT_SHAPE_BOND && !self->port_count))
        return rmt_fail(error, RMT_E_USAGE,
                        "interface %s is a %s, and needs %s and nothing of other kinds",
                        self->role, s_kinds[self->shape],
                        self->shape == RMT_SHAPE_VLAN   ? "vlan and link"
                        : self->shape == RMT_SHAPE_BOND ? "ports"
                                                        : "ports or none");
    if (self->mac[0])
        return rmt_fail(error, RMT_E_USAGE,
                        "interface %s is a %s, which has the MAC of a port; set the MACs "
                        "as its ports",
                        self->role, s_kinds[self->shape]);
    if (self->name[0])
        return 0;
    if (rmt_name_check_interface(self->role, error) == -1)
        return rmt_wrap(error, "net.%s: the role is the name of the interface",
                        self->role);
    snprintf(self->name, sizeof self->name, "%s", self->role);
    return 0;
}

// ---- All interfaces

static rmt_interface_t *
s_find(rmt_network_t *network, const char *name, const char *mac)
{
    for (size_t i = 0; i < network->count; i++) {
        rmt_interface_t *one = &network->interfaces[i];
        if ((name[0] && strcmp(one->name, name) == 0) ||
            (mac[0] && strcmp(one->mac, mac) == 0))
            return one;
    }
    return NULL;
}

// The interface of that name or MAC, which is there from now on.
static rmt_interface_t *
s_require(rmt_network_t *network, const char *name, const char *mac, rmt_error_t *error)
{
    rmt_interface_t *found = s_find(network, name, mac);
    if (found)
        return found;
    if (network->count == RMT_NETWORK_INTERFACES_MAX) {
        rmt_fail(error, RMT_E_USAGE, "more than %d interfaces and ports; remove some",
                 RMT_NETWORK_INTERFACES_MAX);
        return NULL;
    }
    rmt_interface_t *made = &network->interfaces[network->count++];
    *made = (rmt_interface_t){.is_bare = true};
    snprintf(made->role, sizeof made->role, "port");
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(made->mac, sizeof made->mac, "%s", mac);
    snprintf(made->label, sizeof made->label, "ramet-port-%s", name[0] ? name : mac);
    for (char *colon; (colon = strchr(made->label, ':'));)
        memmove(colon, colon + 1, strlen(colon));
    return made;
}

static int
s_join_port(rmt_network_t *network, size_t index, const rmt_network_port_t *port,
            rmt_error_t *error)
{
    rmt_interface_t *below = s_require(network, port->name, port->mac, error);
    const rmt_interface_t *above = &network->interfaces[index];
    if (!below)
        return -1;
    if (below == above || below->master[0] || below->address_count)
        return rmt_fail(error, RMT_E_USAGE,
                        "port %s%s of %s %s; a port belongs to one interface, which has "
                        "its addresses",
                        port->name, port->mac, above->name,
                        below == above     ? "is that interface itself"
                        : below->master[0] ? "is a port of another one"
                                           : "has an address");
    snprintf(below->master, sizeof below->master, "%s", above->name);
    below->master_shape = above->shape;
    below->is_bare = true;
    return 0;
}

// Whether an interface comes back to itself by what it is made of.
static bool
s_is_loop(rmt_network_t *network, const rmt_interface_t *start,
          const rmt_interface_t *one, unsigned depth)
{
    if (depth && one == start)
        return true;
    if (depth > RMT_NETWORK_INTERFACES_MAX)
        return true;
    for (size_t i = 0; i < one->port_count; i++) {
        const rmt_interface_t *below =
            s_find(network, one->ports[i].name, one->ports[i].mac);
        if (below && s_is_loop(network, start, below, depth + 1))
            return true;
    }
    const rmt_interface_t *link = one->link[0] ? s_find(network, one->link, "") : NULL;
    return link && s_is_loop(network, start, link, depth + 1);
}

// The first interface is the one by which the computer is known.
static void
s_put_first(rmt_network_t *network)
{
    for (size_t i = 0; network->interfaces[0].is_bare && i < network->count; i++) {
        if (network->interfaces[i].is_bare)
            continue;
        const rmt_interface_t one = network->interfaces[i];
        network->interfaces[i] = network->interfaces[0];
        network->interfaces[0] = one;
    }
}

int
rmt_shape_join(rmt_network_t *network, rmt_error_t *error)
{
    const size_t count = network->count;
    for (size_t i = 0; i < count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        for (size_t k = 0; k < one->port_count; k++) {
            if (s_join_port(network, i, &one->ports[k], error) == -1)
                return -1;
        }
        if (!one->link[0])
            continue;
        rmt_interface_t *below = s_require(network, one->link, "", error);
        if (!below)
            return -1;
        below->is_bare = below->is_bare || !below->address_count;
    }
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        if (s_is_loop(network, one, one, 0))
            return rmt_fail(error, RMT_E_USAGE,
                            "interface %s is a part of itself; change its ports or link",
                            one->name[0] ? one->name : one->mac);
        network->is_shaped = network->is_shaped || one->shape != RMT_SHAPE_PLAIN;
    }
    s_put_first(network);
    return 0;
}
