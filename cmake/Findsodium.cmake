# SPDX-License-Identifier: MIT
# libsodium, which has no CMake package, as the target sodium::sodium.
find_path(SODIUM_INCLUDE_DIR sodium/version.h)
find_library(SODIUM_LIBRARY sodium)
if(SODIUM_INCLUDE_DIR)
  file(STRINGS ${SODIUM_INCLUDE_DIR}/sodium/version.h version_line
       REGEX "define SODIUM_VERSION_STRING ")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" SODIUM_VERSION "${version_line}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(sodium REQUIRED_VARS SODIUM_LIBRARY SODIUM_INCLUDE_DIR
                                  VERSION_VAR SODIUM_VERSION)
if(sodium_FOUND AND NOT TARGET sodium::sodium)
  add_library(sodium::sodium UNKNOWN IMPORTED)
  set_target_properties(sodium::sodium PROPERTIES IMPORTED_LOCATION ${SODIUM_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${SODIUM_INCLUDE_DIR})
endif()
