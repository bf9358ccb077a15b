# Join the parts of the function library (PARTS, parted by |) and write them as the C
# array rmt_state_library to OUTPUT. Locals of the first part are those of all; each other
# part is a block of its own.
# CODES and LIMITS are the headers of which the library has the numbers.
function(numbers_of header pattern text_out)
    file(STRINGS "${header}" lines REGEX "${pattern}")
    set(text "")
    foreach(line IN LISTS lines)
        string(REGEX MATCH "${pattern}" line "${line}")
        string(APPEND text "${CMAKE_MATCH_2} = ${CMAKE_MATCH_3}, ")
    endforeach()
    string(HEX "${text}" text)
    set(${text_out} "${text}" PARENT_SCOPE)
endfunction()

numbers_of("${CODES}" "^ *RMT_(E_)?([A-Z_]+) = ([0-9]+)" codes)
numbers_of("${LIMITS}" "^#define (RMT_)([A-Z_]+) ([0-9]+)" limits)
string(HEX "--[[CODES]]" codes_mark)
string(HEX "--[[LIMITS]]" limits_mark)

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
string(REPLACE "${codes_mark}" "${codes}" hex "${hex}")
string(REPLACE "${limits_mark}" "${limits}" hex "${hex}")
string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
string(REGEX REPLACE "(0x0a,)" "\\1\n" hex "${hex}")
file(WRITE "${OUTPUT}"
    "#include \"state/rmt_library.h\"\n\nconst char rmt_state_library[] = {\n${hex}0x00};\n"
    "const size_t rmt_state_library_size = sizeof rmt_state_library - 1;\n")
