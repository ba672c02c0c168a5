# Faults at random: tests/fault/coherence judges each read while things break.
# One minute of it belongs to every run, half an hour to a long one.
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(NOT PYTHON3)
    set(PYTHON3 python3)
endif()
set(coherence ${CMAKE_CURRENT_LIST_DIR}/coherence)

# fault_test(<name> <seconds until it is ended> <argument ...>)
function(fault_test name timeout)
    if(NEARSIDE_SANITIZE)
        math(EXPR timeout "${timeout} * 3")
    endif()
    add_test(NAME fault.${name} COMMAND ${PYTHON3} -B ${ARGN})
    set_tests_properties(fault.${name} PROPERTIES
        TIMEOUT ${timeout} LABELS fault SKIP_RETURN_CODE 77
        ENVIRONMENT "NEARSIDE_BIN=$<TARGET_FILE:nearside>;SET_CLOCK_LIB=$<TARGET_FILE:set-clock>;NEARSIDE_SANITIZE=${NEARSIDE_SANITIZE}")
endfunction()

if(TARGET nearside)
    fault_test(coherence_judge 60 ${coherence}/test_judge.py)
    fault_test(coherence 600 ${coherence} --seconds 60 --logs)
    set_tests_properties(fault.coherence PROPERTIES COST 70)
    if(NEARSIDE_LONG)
        fault_test(coherence_long 3600 ${coherence} --seconds 1800 --logs)
        # It builds daemons of its own that it must find out.
        fault_test(coherence_blind 3600 ${CMAKE_CURRENT_LIST_DIR}/blind.py)
        set_tests_properties(fault.coherence_long fault.coherence_blind
            PROPERTIES RUN_SERIAL ON)
    endif()
endif()
