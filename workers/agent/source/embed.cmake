# Write FILES (parted by |) as C arrays of the table rmt_profiles to OUTPUT, named by their
# file names without ending.
string(REPLACE "|" ";" files "${FILES}")
set(arrays "")
set(rows "")
foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," hex "${bytes}")
    string(REGEX REPLACE "(0x0a,)" "\\1\n" hex "${hex}")
    string(APPEND arrays "static const char s_${name}[] = {\n${hex}0x00};\n\n")
    string(APPEND rows "    {\"${name}\", s_${name}},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"agent/source/profiles.h\"\n\n${arrays}"
    "const rmt_profile_text_t rmt_profile_texts[] = {\n${rows}    {NULL, NULL},\n};\n")
