# The reference conf and the manual name what the table of options names.
add_test(NAME lint.conf_reference
    COMMAND ${CMAKE_SOURCE_DIR}/tests/lint/conf_reference.sh ${CMAKE_SOURCE_DIR})
set_tests_properties(lint.conf_reference PROPERTIES TIMEOUT 30)
