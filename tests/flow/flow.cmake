# Flow tests: each test_*.py starts real processes and speaks to them. They
# need python3 (its standard library), redis-server and redis-cli when they
# run. A test file is to end within 60 s; TIMEOUT ends what hangs.
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(NOT PYTHON3)
    # Building the programs must not need it.
    set(PYTHON3 python3)
endif()
option(NEARSIDE_LONG "register the long tests too" OFF)

# A test that says `# ctest: timeout=120 jobs=4 cost=20 long serial` in one of
# its first lines gets that. Its cases run in `jobs` processes, one if it says
# nothing; `cost` is about its time in seconds, since long ones start first;
# `long` ones are left out but for NEARSIDE_LONG; those that say `memory` are run
# twice more: with memory alone and no Redis, and with both.
function(flow_test source)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" short ${name})
    file(STRINGS ${source} wish LIMIT_COUNT 1 REGEX "^# ctest:")
    if("${wish}" MATCHES "long" AND NOT NEARSIDE_LONG)
        return()
    endif()
    set(timeout 600)
    if("${wish}" MATCHES "timeout=([0-9]+)")
        set(timeout ${CMAKE_MATCH_1})
    endif()
    set(cost 5)
    if("${wish}" MATCHES "cost=([0-9]+)")
        set(cost ${CMAKE_MATCH_1})
    endif()
    set(runner -m unittest -v)
    if("${wish}" MATCHES "jobs=([0-9]+)")
        set(runner side_by_side.py ${CMAKE_MATCH_1})
    endif()
    if(NEARSIDE_SANITIZE)
        math(EXPR timeout "${timeout} * 3")
    endif()
    set(env "NEARSIDE_BIN=$<TARGET_FILE:nearside>"
        "SAMPLE_ORIGIN_BIN=$<TARGET_FILE:sample-origin>"
        "SET_CLOCK_LIB=$<TARGET_FILE:set-clock>"
        "NEARSIDE_SANITIZE=${NEARSIDE_SANITIZE}")
    if(NEARSIDE_LONG)
        list(APPEND env "NEARSIDE_LONG=1")
    endif()
    set(tests flow.${short})
    if("${wish}" MATCHES "memory")
        list(APPEND tests flow.${short}_memory flow.${short}_both)
    endif()
    foreach(test ${tests})
        string(REGEX REPLACE "^flow.${short}_?" "" tier ${test})
        set(test_env "${env}")
        if(tier)
            list(APPEND test_env "NEARSIDE_TIER=${tier}")
        endif()
        add_test(NAME ${test}
            COMMAND ${PYTHON3} -B ${runner} ${name}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests/flow)
        set_tests_properties(${test} PROPERTIES
            TIMEOUT ${timeout} COST ${cost} ENVIRONMENT "${test_env}" LABELS flow
            # unittest ends with 0 where a whole file has been skipped.
            SKIP_REGULAR_EXPRESSION "Ran 0 tests in [^\n]*\n\nOK .skipped="
            SKIP_RETURN_CODE 77)
        if("${wish}" MATCHES "serial")
            set_tests_properties(${test} PROPERTIES RUN_SERIAL ON)
        endif()
    endforeach()
endfunction()

file(GLOB flow_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(source ${flow_tests})
    # Its first lines are read when configuring.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    flow_test(${source})
endforeach()
