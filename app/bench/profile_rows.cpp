// SPDX-License-Identifier: MIT
#include "app/bench/profile_rows.h"

#include <nlohmann/json.hpp>

namespace adaspan {

nlohmann::ordered_json profile_rows(std::vector<ProfileRow> rows, double seconds) {
  ProfileRow rest{.kernel = "the rest", .calls = 1, .seconds = seconds};
  for (const ProfileRow& row : rows) rest.seconds -= row.seconds;
  rows.push_back(rest);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ProfileRow& row : rows) {
    json.push_back({{"kernel", row.kernel},
                    {"calls", row.calls},
                    {"seconds", row.seconds},
                    {"share", row.seconds / seconds},
                    {"waiting", row.waiting},
                    {"gflops", 1e-9 * row.flops / row.seconds},
                    {"gb_per_s", 1e-9 * row.bytes / row.seconds},
                    {"loops", row.loops},
                    {"plans", row.plans},
                    {"buffers", row.buffers},
                    {"pieces", row.pieces}});
  }
  return json;
}

}  // namespace adaspan
