// SPDX-License-Identifier: MIT
#include "adaspan/train/run/settings.h"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"

namespace adaspan {
namespace {

constexpr int64_t kMostThreads = 4096;
constexpr int64_t kLargest = 1 << 30;  // products of two such numbers still fit 64 bits

/// Whether JSON, in which settings are saved, can hold the text.
bool is_utf8(std::string_view text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

template <class T>
bool parse(std::string_view text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!is_utf8(text)) return false;
    value = text;
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "true";
    return text == "true" || text == "false";
  } else {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool good = error == std::errc() && end == text.data() + text.size();
    if constexpr (std::is_same_v<T, double>) good = good && std::isfinite(value);
    return good;
  }
}

template <class T>
constexpr const char* kind() {
  if constexpr (std::is_same_v<T, std::string>) return "a text in UTF-8";
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, double>) return "a number";
  return "a whole number";
}

/// The value that a TOML file gives setting `name`, as text.
std::string text_of(std::string_view name, const toml::node& node) {
  if (const auto value = node.value_exact<std::string>()) return *value;
  if (const auto value = node.value_exact<bool>()) return *value ? "true" : "false";
  if (const auto value = node.value_exact<int64_t>()) return fmt::format("{}", *value);
  if (const auto value = node.value_exact<double>()) return fmt::format("{}", *value);
  fail("[settings] expected a text, a number, true or false for --{}; got {}", name,
       node.is_value() ? "a date or time" : "a table or list");
}

}  // namespace

void assign(Settings& settings, std::string_view name, std::string_view text) {
  bool known = false;
  for_each_setting(settings, [&](std::string_view setting, auto& value, const char*, Role) {
    if (setting != name) return;
    known = true;
    require(parse(text, value), "[settings] expected --{} to be {}; got \"{}\"", name,
            kind<std::remove_cvref_t<decltype(value)>>(), text);
  });
  require(known,
          "[settings] expected the name of a setting; got \"{}\"; 'adaspan train --help' "
          "lists them",
          name);
}

void apply_toml(Settings& settings, const std::filesystem::path& path) {
  require(std::filesystem::is_regular_file(path),
          "[settings] expected a configuration file at {}; got none", path.string());
  toml::table table;
  try {
    table = toml::parse_file(path.string());
  } catch (const toml::parse_error& e) {
    fail("[settings] expected TOML in {}; got: {} (line {})", path.string(), e.description(),
         e.source().begin.line);
  }
  for (const auto& [key, node] : table) {
    try {
      assign(settings, key.str(), text_of(key.str(), node));
    } catch (const Error& e) {
      fail("{} (in {}, line {})", e.what(), path.string(), node.source().begin.line);
    }
  }
}

DType precision_of(const Settings& settings) {
  const std::string& precision = settings.precision;
  if (precision == "auto") return bf16_obstacle().empty() ? DType::bf16 : DType::f32;
  require(precision == "f32" || precision == "bf16",
          "[settings] expected --precision to be f32, bf16 or auto; got \"{}\"", precision);
  return precision == "bf16" ? DType::bf16 : DType::f32;
}

Isa isa_of(const Settings& settings) {
  return settings.isa == "auto" ? best_isa() : isa_of(settings.isa);
}

int64_t parts_of(const Settings& s) {
  if (!s.exact_split) return s.batch_split;
  int64_t parts = 8;
  while (s.batch_sz % parts != 0) parts /= 2;
  return parts;
}

void check(const Settings& s) {
  const auto at_least = [](const char* name, auto value, decltype(value) least) {
    require(value >= least, "[settings] expected --{} of at least {}; got {}", name, least, value);
  };
  for_each_setting(s, [](std::string_view name, const auto& value, const char*, Role) {
    if constexpr (std::is_same_v<decltype(value), const int64_t&>) {
      require(value <= kLargest || name == "seed", "[settings] expected --{} of at most {}; got {}",
              name, kLargest, value);
    }
  });
  check(model_config(s, 1));
  at_least("batch-sz", s.batch_sz, 1);
  at_least("batch-split", s.batch_split, 1);
  at_least("block-sz", s.block_sz, 1);
  at_least("nbatches", s.nbatches, 1);
  at_least("niter", s.niter, 1);
  at_least("log-steps", s.log_steps, 1);
  at_least("threads", s.threads, 0);
  require(s.threads <= kMostThreads, "[settings] expected --threads of at most {}; got {}",
          kMostThreads, s.threads);
  at_least("lr-warmup", s.lr_warmup, 0);
  at_least("lr", s.lr, 0.0);
  at_least("momentum", s.momentum, 0.0);
  at_least("grad-clip", s.grad_clip, 0.0);
  at_least("seed", s.seed, 0);
  at_least("keep-last", s.keep_last, 1);
  require(s.batch_sz % s.batch_split == 0,
          "[settings] expected --batch-split to divide --batch-sz; got {} parts of {}",
          s.batch_split, s.batch_sz);
  require(parts_of(s) % s.batch_split == 0,
          "[settings] expected --batch-split to divide {}, the parts of --exact-split at "
          "--batch-sz {}; got {}",
          parts_of(s), s.batch_sz, s.batch_split);
  require(s.data_unit == "bpc" || s.data_unit == "ppl",
          "[settings] expected --data-unit to be bpc or ppl; got \"{}\"", s.data_unit);
  isa_of(s);
  optimizer_config(s);
}

nlohmann::ordered_json to_json(const Settings& settings) {
  nlohmann::ordered_json json;
  for_each_setting(settings, [&](const char* name, const auto& value, const char*, Role) {
    json[name] = value;
  });
  return json;
}

nlohmann::ordered_json recorded_json(const Settings& settings) {
  nlohmann::ordered_json json;
  for_each_setting(settings,
                   [&](const std::string& name, const auto& value, const char*, Role role) {
                     const bool no_effect = settings.exact_split && name == "batch-split";
                     if (role != Role::local && !no_effect) json[name] = value;
                   });
  return json;
}

std::vector<SettingChange> changes(const nlohmann::ordered_json& before, const Settings& now) {
  std::vector<SettingChange> all;
  for_each_setting(now, [&](const std::string& name, const auto& value, const char*, Role role) {
    const nlohmann::ordered_json json = value;
    if (before.contains(name) && before[name] != json) {
      all.push_back({name, role, before[name].dump(), json.dump()});
    }
  });
  return all;
}

Settings settings_from_json(const nlohmann::ordered_json& json) {
  Settings settings;
  for (const auto& [name, value] : json.items()) {
    require(value.is_primitive(),
            "[settings] expected a text, a number, true or false for --{}; got a list or object",
            name);
    assign(settings, name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return settings;
}

ModelConfig model_config(const Settings& s, int64_t vocabulary) {
  return {.vocabulary = vocabulary,
          .layers = s.nlayers,
          .hidden = s.hid_sz,
          .inner = s.inner_hid_sz,
          .heads = s.nheads,
          .span_limit = s.attn_span,
          .ramp = s.adapt_span_ramp,
          .span_kind = s.dynamic_span ? SpanKind::dynamic
                       : s.adapt_span ? SpanKind::adaptive
                                      : SpanKind::fixed,
          .span_init = static_cast<float>(s.adapt_span_init),
          .span_loss = static_cast<float>(s.adapt_span_loss),
          .adapt_cache = s.adapt_span_cache,
          .skip_missing = s.skip_missing,
          .dropout = static_cast<float>(s.dropout),
          .embedding_dropout = static_cast<float>(s.emb_dropout),
          .precision = precision_of(s)};
}

OptimizerConfig optimizer_config(const Settings& s) {
  OptimizerConfig config{.momentum = s.momentum, .grad_clip = s.grad_clip};
  if (s.optim == "adagrad") {
    config.kind = OptimizerKind::adagrad;
  } else if (s.optim == "adam") {
    config.kind = OptimizerKind::adam;
  } else {
    require(s.optim == "sgd", "[settings] expected --optim to be sgd, adagrad or adam; got \"{}\"",
            s.optim);
  }
  return config;
}

double in_unit(double nats, const std::string& unit) {
  return unit == "ppl" ? std::exp(nats) : nats / std::log(2.0);
}

}  // namespace adaspan
