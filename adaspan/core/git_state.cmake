# SPDX-License-Identifier: MIT
# Run at every build: writes OUT, a header with the commit of SOURCE, if that has changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE state OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT state)
  set(state unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define ADASPAN_GIT_STATE \"${state}\"\n")
