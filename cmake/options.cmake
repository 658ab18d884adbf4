# SPDX-License-Identifier: MIT
# How the project's own targets are compiled. All of this holds in its folder alone: nothing reaches
# a project of which it is a part, nor those who link the library.
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()

if(ADASPAN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "expected clang for ADASPAN_FUZZ (libFuzzer is a part of it); got "
                        "${CMAKE_CXX_COMPILER_ID}; add -DCMAKE_CXX_COMPILER=clang++")
  endif()
  set(ADASPAN_SANITIZE fuzzer-no-link,address,undefined,float-cast-overflow)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Asserts check for bugs of ours; none is in an inner loop, so they stay (no NDEBUG), and whatever
# is not for debugging is optimised, under any build type of a project around this one.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_MINSIZEREL "-O2")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  string(APPEND CMAKE_CXX_FLAGS " -O2")
endif()
# A shared library's functions may be inlined within it, as those of a program.
add_compile_options(-fno-semantic-interposition)

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-stringop-overflow)  # false alarms within fmt
endif()
if(ADASPAN_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
if(ADASPAN_SANITIZE)
  add_compile_options(-fsanitize=${ADASPAN_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ADASPAN_SANITIZE})
endif()

# Installed, a program or library finds the project's shared libraries from its own place, and the
# others where they were when it was linked.
file(RELATIVE_PATH bin_to_lib /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set(CMAKE_INSTALL_RPATH $ORIGIN $ORIGIN/${bin_to_lib})
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
