// SPDX-License-Identifier: MIT
#include "app/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"
#include "app/suggestion.h"
#include "app/threads.h"
#include "app/whole_number.h"

namespace adaspan {
namespace {

/// Flags of what is no field of a training configuration.
constexpr std::pair<const char*, const char*> kOtherFlags[] = {
    {"process.threads", "--threads"}, {"process.isa", "--isa"},
    {"generate.length", "--length"},  {"generate.temperature", "--temperature"},
    {"generate.top_k", "--top-k"},    {"generate.top_p", "--top-p"},
    {"generate.min_p", "--min-p"},    {"generate.unknown", "--unknown"},
    {"prepare.split", "--split"},     {"prepare.unk", "--unk"},
    {"prepare.newline", "--newline"}, {"eval.protocol", "--protocol"},
    {"eval.against", "--against"}};

bool is_auto(const SettingTexts& texts, const char* name) {
  const auto found = texts.find(name);
  return found == texts.end() || found->second == "auto";
}

/// What belongs to the process or asks it to choose: no training configuration has these.
bool assign_own(Settings& settings, const std::string& name, const std::string& text) {
  if (name == "isa") return true;
  if (name == "threads") {
    threads_of(text);
  } else if (name == "full-eval-mode") {
    require(text == "true" || text == "false",
            "[settings] expected --full-eval-mode to be true or false; got \"{}\"", text);
    settings.full_eval_mode = text == "true";
  } else if (name == "report-every") {
    settings.report_every = whole_number<int64_t>(name, text);
    require(settings.report_every >= 0,
            "[settings] expected --report-every of at least 0; got {}; 0 writes no page", text);
  } else if (name == "tensorboard") {
    settings.tensorboard = text;
  } else {
    return name == "precision" && text == "auto";
  }
  return true;
}

void assign(Settings& settings, const std::string& name, const std::string& text) {
  if (!assign_own(settings, name, text)) assign(settings.training, name, text);
}

/// The numbers of a list, as the text that records have; nothing for a list of something else.
std::optional<std::string> text_of(const toml::array& list) {
  std::vector<int64_t> numbers;
  for (const toml::node& node : list) {
    const auto number = node.value_exact<int64_t>();
    if (!number) return {};
    numbers.push_back(*number);
  }
  return fmt::format("{}", fmt::join(numbers, ","));
}

bool takes_list(std::string_view name) {
  const auto flag = std::ranges::find(flags(), name, &Flag::name);
  return flag != flags().end() && flag->type == "N,N,...";
}

/// The value that a TOML file gives setting `name`, as text.
std::string text_of(std::string_view name, const toml::node& node) {
  if (const toml::array* list = node.as_array(); list && takes_list(name)) {
    if (const auto text = text_of(*list)) return *text;
  }
  if (const auto value = node.value_exact<std::string>()) return *value;
  if (const auto value = node.value_exact<bool>()) return *value ? "true" : "false";
  if (const auto value = node.value_exact<int64_t>()) return fmt::format("{}", *value);
  if (const auto value = node.value_exact<double>()) return fmt::format("{}", *value);
  fail("[settings] expected a text, a number, true or false for --{}; got {}", name,
       node.is_value() ? "a date or time" : "a table or list");
}

/// Adds to errors of `work` where in the file they are.
template <class Work>
auto naming_line(const std::filesystem::path& path, const toml::source_region& place,
                 const Work& work) {
  try {
    return work();
  } catch (const Error& e) {
    fail("{} (in {}, line {})", e.what(), path.string(), place.begin.line);
  }
}

/// Sets what `key` of a table [[stage]] gives.
void assign(Stage& stage, const std::string& key, const toml::node& node) {
  if (key == "lr-factor") {
    stage.lr_factor = node.value<double>().value_or(0);
    require(node.is_number() && stage.lr_factor > 0 && std::isfinite(stage.lr_factor),
            "[settings] expected lr-factor of a [[stage]] to be a number above 0; got {}",
            text_of(key, node));
    return;
  }
  require(key == "niter" || key == "steps",
          "[settings] expected niter, steps or lr-factor in a [[stage]]; got \"{}\"{}", key,
          did_you_mean(key, {"niter", "steps", "lr-factor"}));
  stage.length = node.value_exact<int64_t>().value_or(0);
  stage.in_rounds = key == "niter";
  require(stage.length >= 1,
          "[settings] expected {} of a [[stage]] to be a whole number of at least 1; got {}", key,
          text_of(key, node));
}

/// The stage that one table [[stage]] gives.
Stage stage_of(const std::filesystem::path& path, const toml::table& table) {
  Stage stage;
  for (const auto& [key, node] : table) {
    naming_line(path, key.source(),
                [&, &key = key, &node = node] { assign(stage, std::string(key.str()), node); });
  }
  naming_line(path, table.source(), [&] {
    require(table.contains("niter") != table.contains("steps"),
            "[settings] expected a [[stage]] with niter or steps, its length; got {}",
            table.contains("niter") ? "both" : "none");
  });
  return stage;
}

/// Those of the tables [[stage]] of a file, as text.
std::string stages_of(const std::filesystem::path& path, const toml::node& node) {
  const toml::array* tables = node.as_array();
  naming_line(path, node.source(), [&] {
    require(tables && !tables->empty() && tables->is_homogeneous<toml::table>(),
            "[settings] expected stages as tables that begin with [[stage]]; got {}",
            node.is_table() ? "a table [stage]" : "something else");
  });
  Stages stages;
  for (const toml::node& table : *tables) stages.push_back(stage_of(path, *table.as_table()));
  return text_of(stages);
}

/// Makes a run whose length was not given as long as its stages are together.
void take_length_of_stages(TrainingConfig& c) {
  if (c.run.total_steps != 0 || c.schedule.stages.empty() || c.run.steps_per_round < 1) return;
  check(c.schedule.stages, c.run.steps_per_round);
  const int64_t steps = total_steps(c.schedule.stages, c.run.steps_per_round);
  if (steps % c.run.steps_per_round == 0) {
    c.run.rounds = steps / c.run.steps_per_round;
  } else {
    c.run.total_steps = steps;
  }
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

void replace_words(std::string& text, const std::string& word, const std::string& by) {
  const auto continues = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '/';
  };
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
    const size_t end = at + word.size();
    const bool begun = at > 0 && (continues(text[at - 1]) || text[at - 1] == '.');
    const bool goes_on = end < text.size() &&
                         (continues(text[end]) ||
                          (text[end] == '.' && end + 1 < text.size() && continues(text[end + 1])));
    if (begun || goes_on) {
      at = end;
    } else {
      text.replace(at, word.size(), by);
      at += by.size();
    }
  }
}

}  // namespace

void give(SettingTexts& texts, const std::string& name, const std::string& text) {
  const auto flag = std::ranges::find(flags(), name, &Flag::name);
  if (flag == flags().end()) {
    std::vector<std::string> names;
    for (const Flag& one : flags()) names.push_back(one.name);
    fail(
        "[settings] expected the name of a setting; got \"{}\"{}; 'adaspan train --help' lists "
        "them",
        name, did_you_mean(name, names));
  }
  require_alternative(name, text, flag->type);
  Settings any;
  assign(any, name, text);
  if (name == "niter") texts.erase("steps");  // which would win
  texts[name] = text;
}

void forget_length(SettingTexts& texts) {
  texts.erase("niter");
  texts.erase("steps");
}

void give_toml(SettingTexts& texts, const std::filesystem::path& path) {
  require(std::filesystem::is_regular_file(path),
          "[settings] expected a configuration file at {}; got none", path.string());
  toml::table table;
  try {
    table = toml::parse_file(path.string());
  } catch (const toml::parse_error& e) {
    fail("[settings] expected TOML in {}; got: {} (line {})", path.string(), e.description(),
         e.source().begin.line);
  }
  require(!table.contains("niter") || table["steps"].value_or(int64_t{0}) == 0,
          "[settings] expected niter or steps in {}; got both", path.string());
  require(!table.contains("stage") || !table.contains("stages"),
          "[settings] expected stages or tables [[stage]] in {}; got both", path.string());
  if (table.contains("stage") || table.contains("stages")) forget_length(texts);
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (name == "stage") {
      give(texts, "stages", stages_of(path, node));
    } else {
      naming_line(path, node.source(),
                  [&, &node = node] { give(texts, name, text_of(name, node)); });
    }
  }
}

Isa isa_of(const SettingTexts& texts) {
  return is_auto(texts, "isa") ? best_isa() : isa_of(texts.at("isa"));
}

int threads_of(const std::string& text) {
  const auto threads = whole_number<int64_t>("threads", text);
  require(threads >= 0, "[settings] expected --threads of at least 0; got {}", threads);
  require(threads <= kMostThreads, "[settings] expected --threads of at most {}; got {}",
          kMostThreads, threads);
  return static_cast<int>(threads);
}

int threads_of(const SettingTexts& texts) {
  const auto found = texts.find("threads");
  return found == texts.end() ? 0 : threads_of(found->second);
}

Settings settings_of(const SettingTexts& texts, const TrainingConfig& defaults) {
  Settings settings{.training = defaults};
  for (const auto& [name, text] : texts) assign(settings, name, text);
  if (is_auto(texts, "precision")) {
    settings.training.model.precision = bf16_obstacle().empty() ? DType::bf16 : DType::f32;
  }
  TrainingConfig& c = settings.training;
  // A record says "auto" either way, and a run goes on with either word.
  const bool bf16 = c.model.precision == DType::bf16;
  if (c.model.cache_precision == (bf16 ? CachePrecision::bf16 : CachePrecision::f32)) {
    c.model.cache_precision = CachePrecision::of_activations;
  }
  if (!texts.contains("niter")) take_length_of_stages(c);
  check(c);
  return settings;
}

std::string with_flags(std::string message, const std::vector<std::string>& words) {
  // What the user wrote stays as it is, also where it looks like a field: out of the way meanwhile.
  const auto mark = [](size_t i) { return fmt::format("\1{}\1", i); };
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].find('.') != std::string::npos) replace_all(message, words[i], mark(i));
  }
  for (const Field& field : fields()) {
    replace_words(message, field.path, std::string("--") + field.name);
  }
  for (const auto& [path, flag] : kOtherFlags) replace_words(message, path, flag);
  for (size_t i = 0; i < words.size(); ++i) replace_all(message, mark(i), words[i]);
  return message;
}

}  // namespace adaspan
