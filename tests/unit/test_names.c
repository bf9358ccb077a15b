// The names of the image's machine, and those of its copy in their place (P23, M18): each
// place by the grammar of its file, and nothing that only looks alike.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "facts/rmt_facts.h"
#include "system/rmt_personal.h"

static int
s_setup(void **state)
{
    if (root_tree_setup(state) == -1)
        return -1;
    root_tree_put("etc/os-release", "ID=debian\n");
    root_tree_put("usr/sbin/ifup", "");
    root_tree_put("etc/network/interfaces", "auto lo\niface lo inet loopback\n");
    root_tree_put("usr/lib/systemd/systemd", "");
    return 0;
}

#define STATIC                                                                           \
    "class=target name=n7 hostname=copy7 address=10.9.0.7/24,fd00:9::7/64 "              \
    "domain=new.lan"
#define DHCP "class=target name=n7 hostname=copy7"

static void
s_personalise(const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(target, &error);
    rmt_auto(rmt_records) actions = NULL;
    RMT_OK(records);
    if (rmt_personal_plan(root_tree_fd(), rmt_records_at(records, 0), &actions, &error) ==
            -1 ||
        rmt_personal_apply(root_tree_fd(), actions, &error) == -1)
        fail_msg("%s", error.text);
}

static void
s_start_again(void **state)
{
    assert_int_equal(root_tree_teardown(state), 0);
    assert_int_equal(s_setup(state), 0);
}

// ---- /etc/hosts

#define OWN_STATIC "10.9.0.7 copy7.new.lan copy7\nfd00:9::7 copy7.new.lan copy7\n"
#define OWN_DHCP "127.0.1.1 copy7\n"

typedef struct {
    const char *hostname; // What /etc/hostname has
    const char *settings; // What /etc/network/interfaces has
    const char *hosts;
    const char *rest; // What stays of it
    const char *aliases;
} hosts_t;

// The target has no address; its line comes last.
static const hosts_t s_hosts[] = {
    // localhost is everyone's, also as the host name
    {"localhost\n", "",
     "127.0.0.1   localhost localhost.localdomain localhost4\n::1\tlocalhost\n",
     "127.0.0.1   localhost localhost.localdomain localhost4\n::1\tlocalhost\n", ""},
    {"localhost.localdomain\n", "",
     "127.0.0.1 localhost.localdomain localhost\n::1 localhost6 ip6-loopback\n",
     "127.0.0.1 localhost.localdomain localhost\n::1 localhost6 ip6-loopback\n", ""},
    {"local\n", "", "127.0.0.1 localhost local\n", "127.0.0.1 localhost\n", ""},
    // The whole name, and not a part of it
    {"db\n", "", "127.0.1.1 db\n10.0.0.2 db2\n10.0.0.3 db-old olddb my.db\n",
     "10.0.0.2 db2\n10.0.0.3 db-old olddb my.db\n", ""},
    {"db\n", "", "127.0.1.1 db.a.lan db\n10.0.0.4 db.b.lan\n10.0.0.5 db.c.lan db\n",
     "10.0.0.4 db.b.lan\n10.0.0.5 db.c.lan db\n", ""},
    {"db.a.lan\n", "", "127.0.1.1 db\n10.0.0.4 db.b.lan db\n10.0.0.5 db\n",
     "10.0.0.4 db.b.lan db\n10.0.0.5 db\n", ""},
    {"db\n", "", "10.0.0.6 DB.A.LAN Db\n", "", ""},
    // The other names of the own line are names of the copy
    {"db\n", "", "10.0.0.6 db store sql.a.lan\n10.0.0.1 gw\n", "10.0.0.1 gw\n",
     " store sql.a.lan"},
    {"db\n", "iface e inet static\n address 10.0.0.6/24\n gateway 10.0.0.1\n",
     "10.0.0.6 store\n10.0.0.1 gw\n", "10.0.0.1 gw\n", " store"},
    {"db\n", "iface e inet static\n\taddress\t10.0.0.6\n\tnetmask\t255.255.255.0\n",
     "10.0.0.6 db\n10.0.0.60 other\n", "10.0.0.60 other\n", ""},
    // Another machine's line that has it as an alias stays without it
    {"db\n", "", "10.0.0.8 mail db loghost # keep\n", "10.0.0.8 mail loghost # keep\n",
     ""},
    // Addresses of the loopback, with blanks and comments of any kind
    {"db\n", "", "127.0.0.1\tlocalhost\tdb\t# own\n::1 db localhost\n",
     "127.0.0.1\tlocalhost\t# own\n::1 localhost\n", ""},
    {"db\n", "", "127.0.1.1 db app\n", "127.0.1.1 app\n", ""},
    {"db\n", "", "# 127.0.1.1 db\n\n   \nno-address db\n",
     "# 127.0.1.1 db\n\n   \nno-address db\n", ""},
    {"db\n", "", "127.0.0.1 localhost\n10.0.0.9 last",
     "127.0.0.1 localhost\n10.0.0.9 last\n", ""},
    // A name of two files, and none at all
    {"", "", "127.0.0.1 localhost\n10.0.0.9 x\n", "127.0.0.1 localhost\n10.0.0.9 x\n",
     ""},
    {"# a comment\n\n db \n", "", "127.0.1.1 db\n", "", ""},
};

// [3.30]
static void
test_only_the_own_entries_of_hosts_change(void **state)
{
    for (size_t i = 0; i < sizeof s_hosts / sizeof *s_hosts; i++) {
        s_start_again(state);
        root_tree_put("etc/hostname", s_hosts[i].hostname);
        root_tree_put("etc/network/interfaces", s_hosts[i].settings);
        root_tree_put("etc/hosts", s_hosts[i].hosts);
        s_personalise(DHCP);
        rmt_auto_str wanted =
            rmt_text("%s127.0.1.1 copy7%s\n", s_hosts[i].rest, s_hosts[i].aliases);
        rmt_auto_str got = root_tree_get("etc/hosts");
        if (strcmp(got, wanted) != 0)
            fail_msg("%zu:\n%s--- wanted\n%s", i, got, wanted);
    }
}

static void
test_hosts_gets_the_addresses_of_the_copy(void **state)
{
    (void) state;
    root_tree_put("etc/hostname", "db\n");
    root_tree_put("etc/hosts",
                  "127.0.0.1 localhost\r\n10.0.0.6 db app\r\nfe80::6 db\r\n");
    s_personalise(STATIC);
    root_tree_expect("etc/hosts",
                     "127.0.0.1 localhost\r\n10.9.0.7 copy7.new.lan copy7 app\r\n"
                     "fd00:9::7 copy7.new.lan copy7 app\r\n");
    s_start_again(state);
    s_personalise(STATIC);
    root_tree_expect("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n" OWN_STATIC);
}

// ---- Places

typedef struct {
    const char *path;
    const char *before;
    const char *after; // NULL: nothing changes
} place_t;

// The image's machine is web.old.lan.
static const place_t s_places[] = {
    {"etc/HOSTNAME", "web.old.lan\n", "copy7.new.lan\n"},
    {"etc/nodename", "web\n", "copy7\n"},
    {"etc/mailname", "web.old.lan\n", "copy7.new.lan\n"},
    {"etc/mailname", "old.lan\n", NULL},
    {"etc/sysconfig/network",
     "NETWORKING=yes\nHOSTNAME=\"web.old.lan\" # set once\nNISDOMAIN=old\n",
     "NETWORKING=yes\nHOSTNAME=\"copy7.new.lan\" # set once\nNISDOMAIN=old\n"},
    {"etc/sysconfig/network", "  export HOSTNAME='other'\n",
     "  export HOSTNAME='copy7'\n"},
    {"etc/sysconfig/network", "HOSTNAME=$(cat /etc/web)\n#HOSTNAME=web\n", NULL},
    {"etc/conf.d/hostname", "# Set to the hostname\nhostname=\"localhost\"\r\n",
     "# Set to the hostname\nhostname=\"copy7\"\r\n"},
    {"etc/rc.conf", "KEYMAP=us\nHOSTNAME=web\n", "KEYMAP=us\nHOSTNAME=copy7\n"},
    {"etc/rc.conf", "hostname_path=web\nxHOSTNAME=web\n", NULL},
    {"etc/machine-info", "CHASSIS=vm\nPRETTY_HOSTNAME=\"The web server\"\n",
     "CHASSIS=vm\nPRETTY_HOSTNAME=\"copy7\"\n"},
    {"etc/postfix/main.cf",
     "# myhostname = web\nmyhostname = web.old.lan\nmydestination = $myhostname,\n"
     "  web.old.lan, web\n\t# a comment\n  localhost.old.lan localhost\n"
     "relayhost = [mx.old.lan]\nmynetworks = 10.0.0.0/8\n    web\n",
     "# myhostname = web\nmyhostname = copy7.new.lan\nmydestination = $myhostname,\n"
     "  copy7.new.lan, copy7\n\t# a comment\n  localhost.old.lan localhost\n"
     "relayhost = [mx.old.lan]\nmynetworks = 10.0.0.0/8\n    web\n"},
    {"etc/exim4/update-exim4.conf.conf",
     "dc_eximconfig_configtype='local'\ndc_other_hostnames='web.old.lan;web'\n",
     "dc_eximconfig_configtype='local'\ndc_other_hostnames='copy7.new.lan;copy7'\n"},
    {"etc/exim/exim.conf", "primary_hostname = web.old.lan\nlocal_user = webber\n",
     "primary_hostname = copy7.new.lan\nlocal_user = webber\n"},
    {"etc/dhcp/dhclient.conf",
     "send  host-name \"web\"; # me\nsend host-name = gethostname();\n"
     "send fqdn.fqdn \"web.old.lan.\";\nrequest subnet-mask, host-name;\n",
     "send  host-name \"copy7\"; # me\nsend host-name = gethostname();\n"
     "send fqdn.fqdn \"copy7.new.lan.\";\nrequest subnet-mask, host-name;\n"},
    {"etc/snmp/snmpd.conf", "sysname web.old.lan\nsysLocation web\n",
     "sysname copy7.new.lan\nsysLocation web\n"},
    {"etc/salt/minion", "master: salt\nid: web.old.lan\n",
     "master: salt\nid: copy7.new.lan\n"},
    {"etc/puppetlabs/puppet/puppet.conf",
     "[main]\ncertname = web.old.lan\nserver=puppet\n",
     "[main]\ncertname = copy7.new.lan\nserver=puppet\n"},
    {"etc/cloud/cloud.cfg.d/90_own.cfg",
     "#cloud-config\nhostname: web\nfqdn: web.old.lan\n",
     "#cloud-config\nhostname: copy7\nfqdn: copy7.new.lan\n"},
    {"etc/zabbix/zabbix_agentd.conf", "Server=zabbix\nHostname=web\nHostnameItem=web\n",
     "Server=zabbix\nHostname=copy7\nHostnameItem=web\n"},
    {"etc/collectd/collectd.conf", "hostname \"web\"\n", "hostname \"copy7\"\n"},
    {"etc/telegraf/telegraf.conf", "[agent]\n  hostname = \"web\"\n",
     "[agent]\n  hostname = \"copy7\"\n"},
    {"etc/samba/smb.conf", "[global]\n NetBIOS  Name = WEB\n;netbios name = web\n",
     "[global]\n NetBIOS  Name = copy7\n;netbios name = web\n"},
    {"etc/icinga2/constants.conf", "const NodeName = \"web.old.lan\"\n",
     "const NodeName = \"copy7.new.lan\"\n"},
    {"var/qmail/control/me", "web.old.lan\n", "copy7.new.lan\n"},
    {"etc/mail/sendmail.cf", "Djweb.old.lan\nCwlocalhost web\n#Djweb\nDSweb\n",
     "Djcopy7.new.lan\nCwlocalhost copy7\n#Djweb\nDSweb\n"},
    {"etc/mail/local-host-names", "# own\nweb.old.lan\nlist.old.lan\n",
     "# own\ncopy7.new.lan\nlist.old.lan\n"},
};

// [3.31]; row 47 of fidelity.md.
static void
test_each_place_of_the_name_is_changed_by_its_grammar(void **state)
{
    for (size_t i = 0; i < sizeof s_places / sizeof *s_places; i++) {
        s_start_again(state);
        root_tree_put("etc/hostname", "web.old.lan\n");
        root_tree_put(s_places[i].path, s_places[i].before);
        s_personalise(STATIC);
        rmt_auto_str got = root_tree_get(s_places[i].path);
        const char *wanted = s_places[i].after ? s_places[i].after : s_places[i].before;
        if (strcmp(got, wanted) != 0)
            fail_msg("%s:\n%s--- wanted\n%s", s_places[i].path, got, wanted);
    }
}

static void
test_a_changed_file_keeps_its_owner_and_its_link(void **state)
{
    (void) state;
    struct stat info;
    root_tree_put("etc/hostname", "web\n");
    root_tree_put("srv/mail/main.cf", "myhostname = web\n");
    root_tree_link("etc/postfix", "../srv/mail");
    rmt_auto_str path = rmt_text("%s/srv/mail/main.cf", root_tree_path());
    assert_int_equal(chown(path, 7, 8), 0);
    assert_int_equal(chmod(path, 0640), 0);
    s_personalise(STATIC);
    root_tree_expect("srv/mail/main.cf", "myhostname = copy7\n");
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode, S_IFREG | 0640);
    assert_int_equal(info.st_uid, 7);
    assert_int_equal(info.st_gid, 8);
    rmt_auto_str link = rmt_rooted_readlink(root_tree_fd(), "etc/postfix");
    assert_string_equal(link, "../srv/mail");
}

// Without a domain in the target's record the copy is in the image's.
static void
test_a_name_keeps_its_domain_where_the_record_has_none(void **state)
{
    (void) state;
    root_tree_put("etc/hostname", "web\n");
    root_tree_put("etc/sysconfig/network", "HOSTNAME=web.old.lan\n");
    s_personalise(DHCP);
    root_tree_expect("etc/sysconfig/network", "HOSTNAME=copy7.old.lan\n");
    root_tree_expect("etc/hostname", "copy7\n");
}

// ---- Paths

static void
test_the_real_path_has_no_link_in_it(void **state)
{
    (void) state;
    static const struct {
        const char *path, *real;
    } rows[] = {
        {"/", "/"},
        {"/data/var/lib", "/data/var/lib"},
        {"/var/lib/./x/../y", "/data/var/lib/y"},
        {"/var", "/data/var"},
        {"/abs/y", "/data/var/lib/y"},
        {"/../../var/lib//y", "/data/var/lib/y"},
        {"/out/etc/passwd", NULL},
        {"/loop/x", NULL},
        {"/nothing", NULL},
        {"/data/var/lib/y/below-a-file", NULL},
    };
    root_tree_put("data/var/lib/y", "");
    root_tree_put("data/var/lib/x/z", "");
    root_tree_link("var", "data/var");
    root_tree_link("abs", "/var/lib");
    root_tree_link("out", "../../..");
    root_tree_link("loop", "loop");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str real = rmt_rooted_real(root_tree_fd(), rows[i].path);
        if (!real != !rows[i].real || (real && strcmp(real, rows[i].real) != 0))
            fail_msg("%s: %s", rows[i].path, real ? real : "nothing");
    }
}

// The kernel asks for another try when something is renamed meanwhile, wherever that is.
static void
test_a_path_with_dots_is_read_beside_renames(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    root_tree_put("data/file", "there");
    root_tree_put("moved/one", "");
    root_tree_link("deep/link", "../deep/../deep/../data/file");
    rmt_auto_str one = rmt_text("%s/moved/one", root_tree_path());
    rmt_auto_str two = rmt_text("%s/moved/two", root_tree_path());
    const pid_t mover = fork();
    assert_int_not_equal(mover, -1);
    if (mover == 0)
        for (;;)
            (void) (rename(one, two) == 0 && rename(two, one) == 0);
    int lost = 0;
    for (int i = 0; i < 20000; i++) {
        rmt_auto_str text = NULL;
        lost += rmt_rooted_load(root_tree_fd(), "deep/link", &text, NULL, &error) == -1 ||
                !text;
    }
    assert_int_equal(kill(mover, SIGKILL), 0);
    assert_int_equal(waitpid(mover, NULL, 0), mover);
    assert_int_equal(lost, 0);
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, s_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_only_the_own_entries_of_hosts_change),
        TREE_TEST(test_hosts_gets_the_addresses_of_the_copy),
        TREE_TEST(test_each_place_of_the_name_is_changed_by_its_grammar),
        TREE_TEST(test_a_changed_file_keeps_its_owner_and_its_link),
        TREE_TEST(test_a_name_keeps_its_domain_where_the_record_has_none),
        TREE_TEST(test_a_path_with_dots_is_read_beside_renames),
        TREE_TEST(test_the_real_path_has_no_link_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
