# tests/fuzz/fuzz_<room>_<part>.c holds one LLVMFuzzerTestOneInput. It is
# always built with replay.c, which shows it every file of its corpus, and run
# by ctest as fuzz.replay.<room>_<part>. With clang and -DNEARSIDE_FUZZ=ON it
# is also built with libFuzzer, the whole tree instrumented:
#     build/tests/fuzz_http_request -max_total_time=120 NEW
#         tests/fuzz/corpus/http_request -dict=tests/fuzz/http.dict
# which tests/fuzz/grow does for all of them; with NEARSIDE_LONG it is a test.
# <room>.dict holds the words of that room's fuzzers.
option(NEARSIDE_FUZZ "build the fuzzers (needs clang)" OFF)

if(NEARSIDE_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR
            "NEARSIDE_FUZZ needs clang: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    # An edge is one of the source's, not one of each copy of an inline function.
    target_compile_options(nearside_flags INTERFACE -fno-inline
        -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(nearside_flags INTERFACE -fsanitize=address,undefined)
endif()

file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fuzz_*.c)
foreach(source ${fuzzers})
    get_filename_component(file ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" name ${file})
    string(REGEX REPLACE "^([a-z]+)_.*$" "\\1" room ${name})
    if(NOT TARGET ns_${room})
        message(FATAL_ERROR "${source} names a room that does not exist: ${room}")
    endif()
    add_executable(replay_${name} ${source} ${CMAKE_CURRENT_LIST_DIR}/replay.c)
    target_link_libraries(replay_${name} PRIVATE ns_${room})
    if(IS_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/corpus/${name})
        add_test(NAME fuzz.replay.${name}
            COMMAND replay_${name} ${CMAKE_CURRENT_LIST_DIR}/corpus/${name})
        set_tests_properties(fuzz.replay.${name} PROPERTIES TIMEOUT 60)
    else()
        message(WARNING "no tests/fuzz/corpus/${name}: nothing to replay")
    endif()
    if(NEARSIDE_FUZZ)
        add_executable(fuzz_${name} ${source})
        target_link_libraries(fuzz_${name} PRIVATE ns_${room})
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    endif()
endforeach()

# Sanitizers of another build have nothing to do with it: it builds its own.
set(NEARSIDE_FUZZ_SECONDS 60 CACHE STRING "how long fuzz.grow runs each fuzzer")
if(NEARSIDE_LONG AND NOT NEARSIDE_SANITIZE)
    add_test(NAME fuzz.grow COMMAND ${CMAKE_CURRENT_LIST_DIR}/grow
        --seconds ${NEARSIDE_FUZZ_SECONDS})
    set_tests_properties(fuzz.grow PROPERTIES TIMEOUT 14400 RUN_SERIAL ON)
endif()
