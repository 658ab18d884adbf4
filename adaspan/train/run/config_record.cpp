// SPDX-License-Identifier: MIT
#include "adaspan/train/run/config_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;
using List = std::vector<int64_t>;

/// Until format 3 of checkpoints these stood among the settings; they belong to the process.
constexpr std::array kEarlierNames{"full-eval-mode", "threads", "isa"};

/// The texts of an enum's values, and what to call them all.
template <class Enum>
struct Words;
template <>
struct Words<OptimizerKind> {
  static constexpr std::array all{std::pair{"sgd", OptimizerKind::sgd},
                                  std::pair{"adagrad", OptimizerKind::adagrad},
                                  std::pair{"adam", OptimizerKind::adam}};
  static constexpr const char* kind = "sgd, adagrad or adam";
};
template <>
struct Words<DataUnit> {
  static constexpr std::array all{std::pair{"bpc", DataUnit::bpc}, std::pair{"ppl", DataUnit::ppl}};
  static constexpr const char* kind = "bpc or ppl";
};
template <>
struct Words<ValidationMode> {
  static constexpr std::array all{std::pair{"fixed", ValidationMode::fixed},
                                  std::pair{"rolling", ValidationMode::rolling}};
  static constexpr const char* kind = "fixed or rolling";
};
template <>
struct Words<ScheduleShape> {
  static constexpr std::array all{std::pair{"flat", ScheduleShape::flat},
                                  std::pair{"cosine", ScheduleShape::cosine},
                                  std::pair{"inverse-sqrt", ScheduleShape::inverse_sqrt},
                                  std::pair{"linear", ScheduleShape::linear}};
  static constexpr const char* kind = "flat, cosine, inverse-sqrt or linear";
};
template <>
struct Words<OnDivergence> {
  static constexpr std::array all{std::pair{"stop", OnDivergence::stop},
                                  std::pair{"skip", OnDivergence::skip}};
  static constexpr const char* kind = "stop or skip";
};
template <>
struct Words<DType> {
  static constexpr std::array all{std::pair{"f32", DType::f32}, std::pair{"bf16", DType::bf16}};
  static constexpr const char* kind = "f32 or bf16";
};

template <>
struct Words<CachePrecision> {
  static constexpr std::array all{std::pair{"auto", CachePrecision::of_activations},
                                  std::pair{"f32", CachePrecision::f32},
                                  std::pair{"bf16", CachePrecision::bf16}};
  static constexpr const char* kind = "f32, bf16 or auto";
};

/// Whether JSON can hold the text.
bool is_utf8(std::string_view text) {
  try {
    ordered_json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

template <class T>
const char* kind_of(const T&) {
  if constexpr (std::is_enum_v<T>) return Words<T>::kind;
  if constexpr (std::is_same_v<T, std::string>) return "a text in UTF-8";
  if constexpr (std::is_same_v<T, Stages>) {
    return "lengths of at least 1 and factors above 0, as 150000@1,20000@0.1";
  }
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if constexpr (std::is_same_v<T, int64_t>) return "a whole number";
  if constexpr (std::is_same_v<T, List>) return "whole numbers with commas between them";
  return "true or false";
}

template <class T>
requires(std::is_same_v<T, int64_t> || std::is_same_v<T, double>) bool parse(std::string_view text,
                                                                             T& value) {
  T parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  if constexpr (std::is_same_v<T, double>) {
    if (!std::isfinite(parsed)) return false;
  }
  value = parsed;
  return true;
}

bool parse(std::string_view text, List& value) {
  List parsed;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const size_t from = std::min(text.find_first_not_of(' ', begin), comma);
    if (!parse(text.substr(from, comma - from), parsed.emplace_back())) return false;
    begin = comma + 1;
  }
  value = std::move(parsed);
  return true;
}

bool parse(std::string_view text, float& value) {
  double parsed = 0;
  if (!parse(text, parsed) || !std::isfinite(static_cast<float>(parsed))) return false;
  value = static_cast<float>(parsed);
  return true;
}

bool parse(std::string_view text, bool& value) {
  if (text != "true" && text != "false") return false;
  value = text == "true";
  return true;
}

bool parse(std::string_view text, std::string& value) {
  if (!is_utf8(text)) return false;
  value = text;
  return true;
}

bool parse(std::string_view text, Stages& value) {
  const std::optional<Stages> parsed = stages_from(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

template <class Enum>
requires std::is_enum_v<Enum>
bool parse(std::string_view text, Enum& value) {
  for (const auto& [word, meaning] : Words<Enum>::all) {
    if (text != word) continue;
    value = meaning;
    return true;
  }
  return false;
}

/// Whether a record of the value can be read again.
template <class T>
bool is_recordable(const T& value) {
  if constexpr (std::is_floating_point_v<T>) return std::isfinite(value);
  if constexpr (std::is_same_v<T, std::string>) return is_utf8(value);
  if constexpr (std::is_same_v<T, Stages>) {
    return std::ranges::all_of(value, [](const Stage& s) { return std::isfinite(s.lr_factor); });
  }
  if constexpr (std::is_enum_v<T>) {
    return std::ranges::any_of(Words<T>::all, [&](const auto& w) { return w.second == value; });
  }
  return true;
}
template <class Kind>
bool is_recordable(const SpanFlag<Kind>& flag) {
  return flag.kind == SpanKind::fixed || flag.kind == SpanKind::adaptive ||
         flag.kind == SpanKind::dynamic;
}

/// In whatever order the two flags come, dynamic wins.
bool parse(std::string_view text, const SpanFlag<SpanKind>& flag) {
  bool on = false;
  if (!parse(text, on)) return false;
  if (on && flag.kind != SpanKind::dynamic) flag.kind = flag.of;
  if (!on && flag.kind == flag.of) flag.kind = SpanKind::fixed;
  return true;
}

template <class T>
ordered_json json_of(const T& value) {
  if constexpr (std::is_same_v<T, float>) {  // 0.2, not the double next to the float, 0.20000000298
    double shortest = 0;
    parse(fmt::format("{}", value), shortest);
    return shortest;
  } else if constexpr (std::is_same_v<T, List>) {
    return fmt::format("{}", fmt::join(value, ","));
  } else if constexpr (std::is_same_v<T, Stages>) {
    return text_of(value);
  } else if constexpr (std::is_enum_v<T>) {
    for (const auto& [word, meaning] : Words<T>::all) {
      if (value == meaning) return word;
    }
    fail("[settings] expected {}; got a value that has no name", Words<T>::kind);
  } else {
    return value;
  }
}

ordered_json json_of(const SpanFlag<const SpanKind>& flag) {
  return flag.kind == flag.of;
}

std::string path_of(const std::string& name) {
  for (const Field& field : fields()) {
    if (name == field.name) return field.path;
  }
  return name;
}

}  // namespace

std::vector<Field> fields() {
  std::vector<Field> all;
  const TrainingConfig any;
  for_each_field(any, [&](const Field& field, const auto&) { all.push_back(field); });
  return all;
}

void assign(TrainingConfig& config, std::string_view name, std::string_view text) {
  bool known = false;
  for_each_field(config, [&](const Field& field, auto&& value) {
    if (name != field.name) return;
    known = true;
    require(parse(text, value), "[settings] expected {} to be {}; got \"{}\"", field.path,
            kind_of(value), text);
  });
  require(known, "[settings] expected the name of a setting; got \"{}\"", name);
}

void check_recordable(const TrainingConfig& config) {
  for_each_field(config, [](const Field& field, const auto& value) {
    require(is_recordable(value), "[settings] expected {} to be {}; got another value", field.path,
            kind_of(value));
  });
}

ordered_json to_json(const TrainingConfig& config) {
  ordered_json json;
  for_each_field(config,
                 [&](const Field& field, const auto& value) { json[field.name] = json_of(value); });
  return json;
}

ordered_json recorded_json(const TrainingConfig& config) {
  ordered_json json = to_json(config);
  for (const Field& field : fields()) {
    if (field.role == Role::local) json.erase(field.name);
  }
  if (config.batch.exact_split) json.erase("batch-split");
  return json;
}

TrainingConfig config_from_json(const ordered_json& json) {
  TrainingConfig config;
  config.run.validation = ValidationMode::rolling;
  for (const auto& [name, value] : json.items()) {
    if (std::ranges::find(kEarlierNames, name) != kEarlierNames.end()) continue;
    require(value.is_primitive(),
            "[settings] expected a text, a number, true or false for {}; got a list or object",
            path_of(name));
    assign(config, name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return config;
}

std::vector<FieldChange> changes(const ordered_json& before, const TrainingConfig& now) {
  std::vector<FieldChange> all;
  for_each_field(now, [&](const Field& field, const auto& value) {
    const ordered_json json = json_of(value);
    if (before.contains(field.name) && before[field.name] != json) {
      all.push_back({field, before[field.name].dump(), json.dump()});
    }
  });
  return all;
}

}  // namespace adaspan
