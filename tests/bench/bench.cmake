# Floors and the fixed origin of the benchmark (tests/bench/README.md).
# -O2 whatever the build type: a floor built for debugging is no floor.
add_library(bench_plain OBJECT ${CMAKE_CURRENT_LIST_DIR}/plain.c)
target_link_libraries(bench_plain PUBLIC nearside_flags
    PkgConfig::libevent_core)
target_compile_options(bench_plain PRIVATE -O2)

# bench_program(<target> <source>)
function(bench_program target source)
    add_executable(${target} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${source})
    target_link_libraries(${target} PRIVATE bench_plain nearside_flags
        PkgConfig::libevent_core)
    target_compile_options(${target} PRIVATE -O2)
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
endfunction()

bench_program(bench-floor floor.c)
bench_program(bench-relay relay.c)
bench_program(bench-redis-relay redis-relay.c)
bench_program(bench-origin fixed-origin.c)

# What things cost in memory; prints a table.
add_executable(bench-sizes ${CMAKE_CURRENT_LIST_DIR}/sizes.c)
target_link_libraries(bench-sizes PRIVATE ns_cache ns_front ns_net)
target_include_directories(bench-sizes PRIVATE ${CMAKE_SOURCE_DIR}/src)
set_target_properties(bench-sizes PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)

# Hit ratios of the memory tier and of its rivals; prints a table.
add_executable(bench-hit-ratio
    ${CMAKE_CURRENT_LIST_DIR}/ratio/bound.c
    ${CMAKE_CURRENT_LIST_DIR}/ratio/check.c
    ${CMAKE_CURRENT_LIST_DIR}/ratio/main.c
    ${CMAKE_CURRENT_LIST_DIR}/ratio/ours.c
    ${CMAKE_CURRENT_LIST_DIR}/ratio/rival.c
    ${CMAKE_CURRENT_LIST_DIR}/ratio/trace.c)
target_link_libraries(bench-hit-ratio PRIVATE ns_cache m)
set_target_properties(bench-hit-ratio PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
add_test(NAME bench.hit_ratio COMMAND bench-hit-ratio --check)
set_tests_properties(bench.hit_ratio PROPERTIES TIMEOUT 300)

# User instructions of a hit in memory: what was measured, and a twentieth. The
# figure is that of gcc 12 with the daemon optimised as a whole: 2,910.
set(unless)
if(NOT lto OR NOT CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    set(unless "another build than the one that is installed")
elseif(NOT "${CMAKE_C_COMPILER_ID} ${major}" STREQUAL "GNU 12")
    set(unless "the bound is that of gcc 12")
endif()
add_test(NAME bench.instructions COMMAND
    ${CMAKE_CURRENT_LIST_DIR}/instructions --build ${CMAKE_BINARY_DIR}
    --at-most 3055 --unless "${unless}")
set_tests_properties(bench.instructions PROPERTIES
    TIMEOUT 900 SKIP_RETURN_CODE 77)
