// The door of layouts: what is read, what is refused, and that both ways agree.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

#include <string.h>

#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define ID "01" ZEROS ZEROS ZEROS ZEROS
#define ZEROS "0000000000000000"

#define GPT "class=disk role=system logical-sector=512 bytes=21474836480 table=gpt"
#define DOS "class=disk role=system logical-sector=512 table=dos"
#define PART(number, start, size)                                                        \
    "\nclass=partition disk=system number=" number " start=" start " size=" size         \
    " type=" LINUX
#define DOS_PART(number, start, size, type)                                              \
    "\nclass=partition disk=system number=" number " start=" start " size=" size         \
    " type=" type " boot=no"

#define GROUP                                                                            \
    "\nclass=group name=vg-0 uuid=V00000-0000-0000-0000-0000-0000-000000 "               \
    "extent-size=4194304"
#define PHYSICAL                                                                         \
    "\nclass=physical disk=system group=vg-0 partition=1 "                               \
    "uuid=P00000-0000-0000-0000-0000-0000-000000 data-start=1048576 extents=24"
#define LOGICAL(name, letter)                                                            \
    "\nclass=logical disk=system group=vg-0 name=" name " uuid=" letter                  \
    "00000-0000-0000-0000-0000-0000-000000 partition=1 extents=12"
#define PIECE(name, segment, extents, more)                                              \
    "\nclass=piece disk=system group=vg-0 logical=" name " partition=1 segment=" segment \
    " extents=" extents more
#define PHYSICAL_ON(where)                                                               \
    "\nclass=physical disk=system group=vg-0 " where                                     \
    " uuid=P00000-0000-0000-0000-0000-0000-000000 data-start=1048576 extents=24"
#define ARRAY_UUID "0123456789abcdef0123456789abcdef"
// Of one member: a mirror that waits for its other half.
#define MIRROR                                                                           \
    GPT PART("1", "2048", "206848") "\nclass=array uuid=" ARRAY_UUID                     \
                                    " metadata=1.2 level=1 slots=1 size=104857600"       \
                                    "\nclass=member disk=system array=" ARRAY_UUID       \
                                    " partition=1 slot=0 data-start=1048576 "            \
                                    "data-size=104857600"
#define LEG(segment, extents, letter, more)                                              \
    PIECE("a", segment, extents, more)                                                   \
    " uuid=" letter                                                                      \
    "a0000-0000-0000-0000-0000-0000-000000 meta-extents=1 meta-uuid=" letter             \
    "b0000-0000-0000-0000-0000-0000-000000"
#define RAID                                                                             \
    "\nclass=logical disk=system group=vg-0 name=a "                                     \
    "uuid=r00000-0000-0000-0000-0000-0000-000000 partition=1 extents=11 raid=raid1"
#define LVM GPT PART("1", "2048", "204800") GROUP PHYSICAL

static rmt_layout_t *
s_read(const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    assert_non_null(records);
    return rmt_layout_read(records, error);
}

// [3.12] What an agent writes today, letter by letter: the order of fields is part of an
// image's id.
static void
test_a_layout_is_written_as_it_was_read(void **state)
{
    (void) state;
    static const char *const texts[] = {
        GPT " guid=0F000000-0000-4000-8000-000000000001 entries=128 first-lba=34 grow=yes"
            "\nclass=partition disk=system number=1 start=2048 size=65536 type=" ESP
            " guid=0F000000-0000-4000-8000-000000000002 name=\"\" attrs=0000000000000001"
            "\nclass=partition disk=system number=2 start=67584 size=409600 type=" LINUX
            " name=\"root fs\" attrs=0000000000000000 min-size=2048"
            "\nclass=partition disk=system number=3 start=477184 size=2048 type=" LINUX
            " attrs=0000000000000000 at-end=yes"
            "\nclass=volume fs=vfat uuid=1234-ABCD device-bytes=33554432 sector-size=512 "
            "block-size=2048 bytes=33554432 fat-bits=16 disk=system partition=1 "
            "mount=/boot/efi root=" ID " files=3 bytes-tree=0 bytes-reserved=0"
            "\nclass=volume fs=btrfs uuid=u bytes=209715200 block-size=4096 disk=system "
            "partition=2 subvolume=@ subvolume-id=256 default=yes read-only=yes mount=/ "
            "root=" ID " files=41000 bytes-tree=7 bytes-reserved=8"
            "\nclass=swap-file disk=system partition=2 subvolume=@ path=\"/my swap\" "
            "bytes=40960 mode=0600 uuid=u label=l\n",
        "class=disk role=system logical-sector=4096 bytes=409600000 table=dos "
        "guid=0x12345678"
        "\nclass=partition disk=system number=1 start=63 size=10000 type=83 boot=yes "
        "guid=12345678-01"
        "\nclass=partition disk=system number=2 start=10100 size=80000 type=05 boot=no"
        "\nclass=partition disk=system number=5 start=10163 size=20000 type=82 boot=no"
        "\nclass=volume fs=swap uuid=u disk=system partition=5\n",
        "class=disk role=system logical-sector=512 table=none required-bytes=1048576\n",
        GPT PART("1", "2048", "204800") " attrs=0000000000000000" GROUP PHYSICAL
            LOGICAL("root", "r") " min-extents=3 grow=yes" LOGICAL(
                "a-b", "h") "\nclass=volume fs=swap uuid=u disk=system partition=0 "
                            "logical=vg-0/a-b\n",
        GPT PART("1", "2048", "204800") " attrs=0000000000000000" GROUP PHYSICAL LOGICAL(
            "a", "r") PIECE("a", "1", "4", " chunk=65536")
            PIECE("a", "1", "4", " chunk=65536") PIECE("a", "2", "4", "") "\n",
        "class=disk role=system logical-sector=512 bytes=209715200 table=none" GROUP
        "\nclass=physical disk=system group=vg-0 bytes=209715200 "
        "uuid=P00000-0000-0000-0000-0000-0000-000000 data-start=1048576 extents=24"
        "\nclass=logical disk=system group=vg-0 name=a "
        "uuid=a00000-0000-0000-0000-0000-0000-000000 extents=12\n",
        GPT PART(
            "1", "2048",
            "206848") " attrs=0000000000000000"
                      "\nclass=array uuid=" ARRAY_UUID
                      " metadata=1.2 level=1 slots=1 size=104857600"
                      "\nclass=member disk=system array=" ARRAY_UUID
                      " partition=1 slot=0 data-start=1048576 data-size=104857600" GROUP
                      "\nclass=physical disk=system group=vg-0 array=" ARRAY_UUID
                      " bytes=104857600 "
                      "uuid=P00000-0000-0000-0000-0000-0000-000000 data-start=1048576 "
                      "extents=24"
                      "\nclass=logical disk=system group=vg-0 name=a "
                      "uuid=a00000-0000-0000-0000-0000-0000-000000 array=" ARRAY_UUID
                      " extents=12\n",
        GPT PART("1", "2048", "204800") " attrs=0000000000000000" GROUP PHYSICAL LOGICAL(
            "a", "r") " raid=raid5 region=2097152" LEG("1", "6", "x", " chunk=65536")
            LEG("1", "6", "y", " chunk=65536") LEG("1", "6", "z", " chunk=65536") "\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_read(texts[i], &error);
        if (!layout)
            fail_msg("%s", error.text);
        rmt_auto(rmt_records) written = rmt_records_new();
        rmt_layout_write(layout, written);
        rmt_auto_str text = rmt_facts_print(written);
        assert_string_equal(text, texts[i]);
    }
}

static void
test_fields_are_numbers_flags_and_kinds(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_read(
        "class=volume disk=system partition=2 fs=btrfs subvolume=\"\" default=yes mount=/"
        "\n" GPT
        " grow=yes" PART("2", "4096", "8192") " attrs=8000000000000001"
                                              "\nclass=partition part=layout disk=system "
                                              "number=1 start=34 size=100 type=ef"
                                              "\nclass=boot part=boot content=x",
        &error);
    assert_null(layout); // A type of DOS in a GPT
    rmt_auto(rmt_layout) good = s_read(
        "class=volume disk=system partition=2 fs=btrfs subvolume=\"\" default=yes mount=/"
        "\n" GPT " grow=yes" PART("2", "4096", "8192") " attrs=8000000000000001"
                                                       "\nclass=boot part=boot content=x",
        &error);
    RMT_OK(good);
    assert_int_equal(good->disks[0].table, RMT_TABLE_GPT);
    assert_int_equal(good->disks[0].bytes, 21474836480);
    assert_true(good->disks[0].grow);
    assert_int_equal(good->partitions[0].attrs, 0x8000000000000001);
    assert_string_equal(good->volumes[0].subvolume, "");
    assert_true(good->volumes[0].is_default);
    assert_false(good->volumes[0].is_read_only);
    assert_false(good->volumes[0].has_root);
    assert_int_equal(good->volumes[0].fs, RMT_FS_BTRFS);
    assert_ptr_equal(rmt_layout_root(good), &good->volumes[0]);
    assert_ptr_equal(rmt_layout_partition_of(good, &good->volumes[0]),
                     &good->partitions[0]);
}

#define SWAP_VOLUME                                                                      \
    PART("1", "2048", "9999") "\nclass=volume disk=system partition=1 fs=ext4"
#define SWAP_FILE(fields) "\nclass=swap-file disk=system partition=1 " fields

// What is wrong with it, and words of the refusal: the field, the value.
static const struct {
    const char *text, *words;
} s_bad[] = {
    {"class=disc role=system table=gpt", "'disc'"},
    {"class=disk table=gpt", "role"},
    {"class=disk role=Sys table=gpt", "role 'Sys'"},
    {"class=disk role=system", "table"},
    {"class=disk role=system table=bsd", "table 'bsd'"},
    {GPT " gorw=yes", "gorw 'yes'"},
    {GPT " grow=true", "grow 'true'"},
    {GPT PART("1", "2048", "8") PART("2", "4096", "8") " at-end=yes", "at-end 'yes'"},
    {GPT " grow=yes" PART("1", "2048", "8") " at-end=yes" PART("2", "4096", "8"),
     "at-end 'yes'"},
    {GPT " grow=yes" PART("1", "2048", "8") " at-end=yes", "at-end 'yes'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a bytes=40959 mode=0600"), "bytes '40959'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a bytes=40960 mode=600"), "mode '600'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a bytes=40960 mode=0680"), "mode '0680'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=a bytes=40960 mode=0600"), "path 'a'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a/../b bytes=40960 mode=0600"), "'/a/../b'"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/ bytes=40960 mode=0600"), "no path of a file"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a bytes=40960 mode=0600 subvolume=@"), "not there"},
    {GPT SWAP_VOLUME SWAP_FILE("path=/a bytes=40960 mode=0600 sparse=yes"),
     "sparse 'yes'"},
    {GPT " entries=0", "entries '0'"},
    {GPT " entries=1025", "entries '1025'"},
    {GPT " first-lba=+34", "first-lba '+34'"},
    {GPT " required-bytes=0x10", "required-bytes '0x10'"},
    {GPT " guid=0x12345678", "guid '0x12345678'"},
    {DOS " guid=" LINUX, "guid '" LINUX "'"},
    {"class=disk role=system table=gpt logical-sector=513", "logical-sector '513'"},
    {"class=disk role=system table=gpt bytes=\"\"", "bytes ''"},
    {"class=disk role=system table=gpt bytes=1e9", "bytes '1e9'"},
    {"class=disk role=system table=gpt bytes=18446744073709551616",
     "bytes '18446744073709551616'"},
    {GPT "\n" GPT, "two disks"},
    {LVM GROUP, "group 'vg-0' is there twice"},
    {LVM PHYSICAL, "twice"},
    {LVM LOGICAL("a", "r") LOGICAL("a", "h"), "'a' is there twice"},
    {LVM LOGICAL("a", "r") LOGICAL("b", "r"), "'b' is there twice"},
    {LVM LOGICAL("a/b", "r"), "name 'a/b'"},
    {LVM LOGICAL("-a", "r"), "name '-a'"},
    {LVM LOGICAL("..", "r"), "name '..'"},
    {LVM "\nclass=group name=b extent-size=0 uuid=b00000-0000-0000-0000-0000-0000-000000",
     "extent-size '0'"},
    {LVM LOGICAL("a", "rr"), "uuid 'rr00000"},
    {LVM LOGICAL("a", "r") " min-extents=13", "min-extents"},
    {LVM LOGICAL("a", "r") " size=13", "size '13'"},
    {LVM LOGICAL("a", "r") LOGICAL("b", "h") LOGICAL("c", "c"), "do not fit"},
    {LVM LOGICAL("a", "r") " grow=yes" LOGICAL("b", "h") " grow=yes", "two that grow"},
    {GPT PART("1", "2048", "204800") GROUP, "no physical volume"},
    {GPT PART("1", "2048", "204800") PHYSICAL, "group 'vg-0'"},
    {GPT PART("1", "2048", "204800") GROUP
     "\nclass=physical disk=system group=vg-0 partition=1 data-start=9216 extents=24 "
     "uuid=P00000-0000-0000-0000-0000-0000-000000" LOGICAL("a", "r"),
     "no space for the description"},
    {GPT PART("2", "2048", "204800") GROUP PHYSICAL, "partition that is not there"},
    {GPT PART("1", "2048", "104800") GROUP PHYSICAL, "does not fit"},
    {GPT PART("1", "2048", "204800") PART("2", "206848", "2048") GROUP PHYSICAL
     "\nclass=logical disk=system group=vg-0 name=a partition=2 extents=1 "
     "uuid=r00000-0000-0000-0000-0000-0000-000000",
     "no physical volume of its group"},
    {LVM "\nclass=volume disk=system partition=1 fs=ext4", "in a physical volume"},
    {LVM LOGICAL("a", "r") PIECE("b", "1", "6", " chunk=65536"), "logical 'b'"},
    {LVM LOGICAL("a", "r") PIECE("a", "0", "6", " chunk=65536"), "segment '0'"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "6", " chunk=65536"), "other extents"},
    {LVM LOGICAL("a", "r") " grow=yes" PIECE("a", "1", "12", " chunk=65536"),
     "would grow"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "12", " chunk=8388608"), "do not fit"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "12", " chunk=1536"), "do not fit"},
    {LVM LOGICAL("a", "r") PIECE("a", "2", "12", " chunk=65536"), "do not fit"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "6", " chunk=65536") PIECE("a", "1", "6", ""),
     "do not fit"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "8", " chunk=65536")
         PIECE("a", "1", "4", " chunk=65536"),
     "do not fit"},
    {GPT PART("1", "2048", "204800") PART("2", "206848", "204800") GROUP PHYSICAL LOGICAL(
         "a", "r") PIECE("a", "1", "6", "") "\nclass=piece disk=system group=vg-0 "
                                            "logical=a partition=2 segment=2 extents=6",
     "a piece on no physical volume"},
    {GPT PART("1", "2048", "204800") GROUP PHYSICAL_ON("array=" ARRAY_UUID),
     "array that is not there"},
    {MIRROR GROUP PHYSICAL_ON("array=" ARRAY_UUID " partition=2"), "partition beside it"},
    {MIRROR GROUP PHYSICAL_ON("array=" ARRAY_UUID " bytes=9437184"), "does not fit"},
    {MIRROR GROUP PHYSICAL_ON("array=" ARRAY_UUID), "does not fit"},
    {MIRROR GROUP PHYSICAL, "in a member of an array"},
    {GPT " grow=yes" PART("1", "2048",
                          "204800") " min-size=100351" GROUP PHYSICAL LOGICAL("a", "r")
         LOGICAL("b", "h") " grow=yes min-extents=12",
     "may shrink below"},
    {GPT " required-bytes=51380223" GROUP PHYSICAL_ON(
         "bytes=104857600") "\nclass=logical disk=system group=vg-0 name=a extents=12 "
                            "uuid=r00000-0000-0000-0000-0000-0000-000000",
     "may shrink below"},
    {GPT " grow=yes" PART("2", "204", "800")
         PART("1", "2048", "204800") " at-end=yes" GROUP PHYSICAL,
     "at-end 'yes'"},
    {LVM LOGICAL("a", "r") PIECE("a", "1", "12", ""),
     "'a' has pieces, and is not spread"},
    {LVM LOGICAL("a", "r") LEG("1", "12", "x", ""), "'a' has pieces, and is not spread"},
    {MIRROR GROUP PHYSICAL_ON("array=" ARRAY_UUID " bytes=104857600")
         PHYSICAL_ON("array=" ARRAY_UUID " bytes=104857600"),
     "there twice"},
    {MIRROR GROUP PHYSICAL_ON(
         "array=" ARRAY_UUID
         " bytes=104857600") "\nclass=volume disk=system fs=ext4 array=" ARRAY_UUID,
     "in a physical volume"},
    {GPT PART("1", "2048", "204800") GROUP PHYSICAL_ON("bytes=104857600"),
     "whole disk that has partitions"},
    {GPT GROUP PHYSICAL_ON("bytes=9437184"), "does not fit"},
    {LVM LOGICAL("a_rimage_0", "r"), "keeps for legs"},
    {LVM LOGICAL("a", "r") " raid=raid1", "other extents"},
    {LVM LOGICAL("a", "r") " raid=raid1" PIECE("a", "1", "12", "")
         PIECE("a", "1", "12", ""),
     "do not fit"},
    {LVM LOGICAL("a", "r") " raid=raid1" LEG("1", "12", "x", "") LEG("2", "12", "y", ""),
     "do not fit"},
    {LVM LOGICAL("a", "r") " raid=raid7" LEG("1", "2", "x", "") LEG("1", "2", "y", ""),
     "other extents"},
    {LVM LOGICAL("a", "r") " raid=raid1" LEG("1", "2", "x", "") LEG("1", "2", "y", ""),
     "other extents"},
    {LVM LOGICAL("a", "r") " raid=raid1 region=1536" LEG("1", "12", "x", "")
         LEG("1", "12", "y", ""),
     "physical volume"},
    {LVM RAID LEG("1", "11", "x", "") LEG("1", "11", "x", ""),
     "two volumes with one uuid"},
    {LVM RAID LEG("1", "11", "x", "")
         PIECE("a", "1", "11",
               "") " uuid=ya0000-0000-0000-0000-0000-0000-000000 meta-extents=1 "
                   "meta-uuid=xa0000-0000-0000-0000-0000-0000-000000",
     "two volumes with one uuid"},
    {LVM RAID PIECE("a", "1", "11",
                    "") " uuid=r00000-0000-0000-0000-0000-0000-000000 meta-extents=1 "
                        "meta-uuid=xb0000-0000-0000-0000-0000-0000-000000" LEG("1", "11",
                                                                               "y", ""),
     "two volumes with one uuid"},
    {LVM LOGICAL("a", "r") LEG("1", "6", "x", " chunk=4096")
         LEG("1", "6", "y", " chunk=4096"),
     "do not fit"},
    {LVM "\nclass=volume disk=system fs=ext4 logical=vg-0/a", "logical volume"},
    {LVM LOGICAL("a", "r") "\nclass=volume disk=system partition=1 fs=ext4 "
                           "logical=vg-0/a",
     "partition beside it"},
    {LVM LOGICAL("a", "r") "\nclass=volume disk=system fs=ext4 logical=vg-0/a"
                           "\nclass=volume disk=system fs=ext4 logical=vg-0/a",
     "twice"},
    {GPT PART("0", "2048", "1"), "number '0'"},
    {GPT PART("1025", "2048", "1"), "number '1025'"},
    {GPT PART("01", "2048", "1"), "number '01'"},
    {GPT PART("1", "0", "1"), "start '0'"},
    {GPT PART("1", "2048", "0"), "size '0'"},
    {GPT PART("1", "2048", "281474976710657"), "size '281474976710657'"},
    {GPT PART("1", "2048", "18446744073709551000"), "size '18446744073709551000'"},
    {GPT "\nclass=partition disk=system number=1 start=1 size=1", "no field type"},
    {GPT "\nclass=partition disk=system number=1 size=1 type=" LINUX, "no field start"},
    {GPT "\nclass=partition disk=data number=1 start=1 size=1 type=" LINUX,
     "disk 'data'"},
    {GPT "\nclass=partition number=1 start=1 size=1 type=" LINUX, "no field disk"},
    {GPT PART("1", "2048", "2048") PART("1", "4096", "2048"), "partition 1 twice"},
    {GPT PART("1", "2048", "2048") PART("2", "4095", "2048"), "overlap at sector 4095"},
    {GPT PART("2", "2048", "20480") PART("1", "4096", "1"), "overlap at sector 4096"},
    {GPT PART("1", "2048", "41943040"), "ends at sector 41945088"},
    {GPT " entries=4" PART("5", "2048", "1"), "4 entries"},
    {GPT PART("1", "2048", "8") " min-size=9", "min-size 9"},
    {GPT PART("1", "2048", "8") " attrs=xyz", "attrs 'xyz'"},
    {GPT PART("1", "2048", "8") " guid=12345678-01", "guid '12345678-01'"},
    {GPT DOS_PART("1", "2048", "8", "83"), "type '83'"},
    {DOS PART("1", "2048", "8"), "type '" LINUX "'"},
    {DOS DOS_PART("1", "63", "1000", "83") DOS_PART("5", "2000", "1", "83"),
     "no extended partition"},
    {DOS DOS_PART("2", "63", "1000", "05") DOS_PART("5", "100", "10", "83")
         DOS_PART("6", "109", "10", "83"),
     "overlap at sector 109"},
    {"class=disk role=system table=none" PART("1", "2048", "8"), "table none"},
    {GPT "\nclass=volume disk=system partition=1 fs=ext4", "not there"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system fs=ext4", "not there"},
    {GPT "\nclass=volume disk=other partition=1 fs=ext4", "disk 'other'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1", "no field fs"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext5",
     "fs 'ext5'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 "
                                "inode-szie=256",
     "inode-szie '256'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 "
                                "inodes=-1",
     "inodes '-1'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 root=12",
     "root '12'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 "
                                "mount=srv",
     "mount 'srv'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 "
                                "mount=/srv/../etc",
     "'..'"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4 "
                                "subvolume=@",
     "subvolume"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=btrfs "
                                "subvolume=@,exec",
     "subvolume"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=btrfs "
                                "subvolume=../@",
     "subvolume"},
    {GPT PART("1", "2048", "8") "\nclass=volume disk=system partition=1 fs=ext4"
                                "\nclass=volume disk=system partition=1 fs=xfs",
     "twice"},
    {DOS DOS_PART("1", "63", "1000", "05") "\nclass=volume disk=system partition=1 "
                                           "fs=ext4",
     "extended"},
};

// [3.8], [3.10], [3.11], [3.24]: each row breaks one rule. [3.14], [3.15] likewise.
static void
test_what_is_wrong_is_refused_with_field_and_value(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_read(s_bad[i].text, &error);
        if (layout)
            fail_msg("%s: is taken", s_bad[i].text);
        if (error.code != RMT_E_USAGE || !strstr(error.text, s_bad[i].words))
            fail_msg("%s: %s", s_bad[i].text, error.text);
    }
}

static void
test_a_value_with_a_nul_is_no_text(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(GPT, &error);
    rmt_record_put(rmt_records_at(records, 0), "grow", "yes\0no", 6);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    assert_null(layout);
    assert_non_null(strstr(error.text, "grow"));
}

// [3.9] as many as there may be are read, one more is refused.
static void
test_a_layout_has_limits(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records =
        rmt_facts_parse("class=disk role=system table=none\n", &error);
    for (size_t i = 0; i < RMT_LAYOUT_VOLUMES_MAX; i++) {
        rmt_record_t *volume = rmt_records_add(records);
        rmt_record_set(volume, "class", "volume");
        rmt_record_set(volume, "disk", "system");
        rmt_record_set(volume, "fs", "btrfs");
        rmt_record_setf(volume, "subvolume", "s%zu", i);
    }
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    if (!layout)
        fail_msg("%s", error.text);
    assert_int_equal(layout->volume_count, RMT_LAYOUT_VOLUMES_MAX);
    rmt_record_t *more = rmt_record_dup(rmt_records_at(records, 1));
    rmt_record_set(more, "subvolume", "more");
    rmt_records_append(records, &more);
    rmt_auto(rmt_layout) refused = rmt_layout_read(records, &error);
    RMT_FAILS(refused, RMT_E_TOO_BIG);
}

static void
test_the_bytes_that_a_disk_needs(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"class=disk role=system table=none bytes=4096", 4096},
        {"class=disk role=system table=none bytes=4096 required-bytes=512", 512},
        {DOS DOS_PART("1", "63", "937", "83"), 1000 * 512},
        {DOS DOS_PART("1", "63", "9937", "05") DOS_PART("5", "100", "900", "83"),
         1000 * 512},
        {GPT PART("1", "2048", "2048"), (4096 + 33) * 512},
        {GPT " grow=yes" PART("1", "2048", "2048") " min-size=1000", (3048 + 33) * 512},
        {GPT " entries=8" PART("1", "2048", "2048") " min-size=1000", (4096 + 3) * 512},
        {GPT " grow=yes" PART("1", "2048", "2048") " min-size=1000" PART(
             "2", "4096", "512") " at-end=yes" PART("3", "4608", "100") " at-end=yes",
         (4708 - 1048 + 33) * 512},
        {GPT " grow=yes" PART("1", "2048", "2048") PART("2", "4096", "512") " at-end=yes",
         (4608 + 33) * 512},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_read(rows[i].text, &error);
        if (!layout)
            fail_msg("%s", error.text);
        assert_int_equal(rmt_layout_min_bytes(layout, 0), rows[i].bytes);
    }
}

// A LUKS with sectors of 4096 bytes takes no other partition.
static void
test_what_grows_has_a_multiple_of_4096_bytes(void **state)
{
    (void) state;
    static const struct {
        uint64_t sector, own, least, sectors, grown;
    } rows[] = {{512, 8000, 4000, 8191, 8184},
                {512, 8000, 0, 8192, 8192},
                {512, 8000, 4000, 7999, 7992},
                {512, 8001, 4000, 8007, 8007}, // No less than it was
                {512, 8000, 4001, 4003, 4003}, // Nor than it may shrink to
                {512, 8000, 0, 7, 7},
                {512, 8000, 0, 0, 0},
                {4096, 8000, 0, 8191, 8191},
                {2048, 8000, 0, 8191, 8190}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_layout_add_disk(layout, "system")->sector = rows[i].sector;
        rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
        partition->size = rows[i].own;
        partition->min_size = rows[i].least;
        const uint64_t had = rmt_layout_grown(layout, partition, rows[i].sectors);
        if (had != rows[i].grown)
            fail_msg("row %zu: %llu", i, (unsigned long long) had);
    }
}

// Tables of foreign disks say so; a descriptor with such a partition could not be read.
static void
test_a_partition_that_begins_or_ends_nowhere_is_refused(void **state)
{
    (void) state;
    static const uint64_t rows[][2] = {{0, 8}, {8, 0}, {0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_layout_add_disk(layout, "system")->table = RMT_TABLE_DOS;
        rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
        partition->number = 1;
        partition->start = 8;
        partition->size = 8;
        strcpy(partition->type, "83");
        RMT_OK(rmt_layout_check(layout, &error));
        partition->start = rows[i][0];
        partition->size = rows[i][1];
        RMT_FAILS(rmt_layout_check(layout, &error), RMT_E_USAGE);
    }
}

// What is read from a disk has passed no door: an image with it could not be read.
static void
test_numbers_of_a_disk_have_the_bounds_of_a_record(void **state)
{
    (void) state;
    static const struct {
        uint64_t start, region, entries;
        const char *words; // NULL: none is refused
    } rows[] = {{64 * 1048576, 512, 1024, NULL},
                {65 * 1048576, 512, 128, "physical with data-start 68157440"},
                {1048576, (uint64_t) 1 << 41, 128, "logical with region 2199023255552"},
                {1048576, 512, 1025,
                 "disk with entries 1025; it must be a number from 1 "
                 "to 1024"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout =
            s_read(LVM RAID LEG("1", "11", "x", "") LEG("1", "11", "y", ""), &error);
        RMT_OK(layout);
        layout->disks[0].entries = rows[i].entries;
        layout->partitions[0].size = 1048576;
        layout->physicals[0].data_start = rows[i].start;
        layout->logicals[0].region = rows[i].region;
        const int rc = rmt_layout_check(layout, &error);
        if (rows[i].words ? rc != -1 || !strstr(error.text, rows[i].words) : rc == -1)
            fail_msg("row %zu: %d '%s'", i, rc, error.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_partition_that_begins_or_ends_nowhere_is_refused),
        cmocka_unit_test(test_a_layout_is_written_as_it_was_read),
        cmocka_unit_test(test_fields_are_numbers_flags_and_kinds),
        cmocka_unit_test(test_what_is_wrong_is_refused_with_field_and_value),
        cmocka_unit_test(test_a_value_with_a_nul_is_no_text),
        cmocka_unit_test(test_a_layout_has_limits),
        cmocka_unit_test(test_the_bytes_that_a_disk_needs),
        cmocka_unit_test(test_what_grows_has_a_multiple_of_4096_bytes),
        cmocka_unit_test(test_numbers_of_a_disk_have_the_bounds_of_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
