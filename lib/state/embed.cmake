# Join the parts of the function library (PARTS, parted by |) and write them as the C
# array rmt_state_library to OUTPUT. Locals of the first part are those of all; each other
# part is a block of its own.
string(REPLACE "|" ";" parts "${PARTS}")
set(hex "")
foreach(part IN LISTS parts)
    file(READ "${part}" bytes HEX)
    if(hex STREQUAL "")
        set(hex "${bytes}0a")
    else()
        string(APPEND hex "646f0a${bytes}0a656e640a")   # do, the part, end
    endif()
endforeach()
string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
string(REGEX REPLACE "(0x0a,)" "\\1\n" hex "${hex}")
file(WRITE "${OUTPUT}"
    "#include \"state/rmt_library.h\"\n\nconst char rmt_state_library[] = {\n${hex}0x00};\n"
    "const size_t rmt_state_library_size = sizeof rmt_state_library - 1;\n")
