# The sample products API, which the quickstart, the flow tests and the
# benchmarks put behind nearside.
add_executable(sample-origin
    ${CMAKE_CURRENT_LIST_DIR}/origin.c
    ${CMAKE_CURRENT_LIST_DIR}/products.c
    ${CMAKE_CURRENT_LIST_DIR}/upload.c)
target_link_libraries(sample-origin PRIVATE
    nearside_flags PkgConfig::libevent PkgConfig::sqlite3)
target_include_directories(sample-origin PRIVATE ${CMAKE_CURRENT_LIST_DIR})
set_target_properties(sample-origin PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

# The clocks of a daemon that a test sets.
add_library(set-clock MODULE ${CMAKE_CURRENT_LIST_DIR}/set_clock.c)
