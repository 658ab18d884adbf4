# SPDX-License-Identifier: MIT
# What `cmake --install` adds to the targets: headers, data, licence, and the CMake package.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/adaspan)

install(DIRECTORY adaspan DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
        PATTERN kernels EXCLUDE PATTERN tiles EXCLUDE
        PATTERN safetensors_format.h EXCLUDE PATTERN shallow_json.h EXCLUDE
        PATTERN whole_number.h EXCLUDE PATTERN require_f32.h EXCLUDE
        PATTERN source_text.h EXCLUDE PATTERN token_counts.h EXCLUDE
        PATTERN encode_part.h EXCLUDE PATTERN staging_folder.h EXCLUDE
        PATTERN key_tiles.h EXCLUDE PATTERN query_attention.h EXCLUDE
        PATTERN decoder_weights.h EXCLUDE)  # which no interface mentions
install(DIRECTORY presets DESTINATION ${CMAKE_INSTALL_DATADIR}/adaspan)
install(DIRECTORY tools DESTINATION ${CMAKE_INSTALL_DATADIR}/adaspan FILES_MATCHING PATTERN "*.py")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/adaspan)

install(EXPORT adaspan NAMESPACE adaspan:: FILE adaspan-targets.cmake DESTINATION ${package_dir})
get_target_property(kind adaspan_core TYPE)
configure_package_config_file(cmake/adaspan-config.cmake.in
  ${PROJECT_BINARY_DIR}/adaspan-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/adaspan-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/adaspan-config.cmake
              ${PROJECT_BINARY_DIR}/adaspan-config-version.cmake
              cmake/FindDNNL.cmake DESTINATION ${package_dir})
