// SPDX-License-Identifier: MIT
#include "app/settings.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

constexpr int64_t kMostThreads = 4096;

/// Flags of what is no field of a training configuration.
constexpr std::pair<const char*, const char*> kOtherFlags[] = {
    {"process.threads", "--threads"},  {"process.isa", "--isa"},
    {"generate.length", "--length"},   {"generate.temperature", "--temperature"},
    {"generate.unknown", "--unknown"}, {"prepare.split", "--split"},
    {"prepare.unk", "--unk"}};

bool is_auto(const SettingTexts& texts, const char* name) {
  const auto found = texts.find(name);
  return found == texts.end() || found->second == "auto";
}

int64_t whole_number(const std::string& name, const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  require(error == std::errc() && end == text.data() + text.size(),
          "[settings] expected --{} to be a whole number; got \"{}\"", name, text);
  return number;
}

bool is_isa(const std::string& text) {
  constexpr Isa kLevels[] = {Isa::plain, Isa::avx2, Isa::avx512, Isa::amx};
  return std::ranges::any_of(kLevels, [&](Isa level) { return text == name(level); });
}

/// What belongs to the process or asks it to choose: no training configuration has these.
bool assign_own(Settings& settings, const std::string& name, const std::string& text) {
  if (name == "isa") {
    require(text == "auto" || is_isa(text),
            "[settings] expected --isa to be auto, plain, avx2, avx512 or amx; got \"{}\"", text);
  } else if (name == "threads") {
    whole_number(name, text);
  } else if (name == "full-eval-mode") {
    require(text == "true" || text == "false",
            "[settings] expected --full-eval-mode to be true or false; got \"{}\"", text);
    settings.full_eval_mode = text == "true";
  } else if (name == "precision" && text != "f32" && text != "bf16") {
    require(text == "auto", "[settings] expected --precision to be f32, bf16 or auto; got \"{}\"",
            text);
  } else {
    return false;
  }
  return true;
}

void assign(Settings& settings, const std::string& name, const std::string& text) {
  if (!assign_own(settings, name, text)) assign(settings.training, name, text);
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
  require(std::ranges::find(flags(), name, &Flag::name) != flags().end(),
          "[settings] expected the name of a setting; got \"{}\"; 'adaspan train --help' lists "
          "them",
          name);
  Settings any;
  assign(any, name, text);
  texts[name] = text;
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
  for (const auto& [key, node] : table) {
    try {
      give(texts, std::string(key.str()), text_of(key.str(), node));
    } catch (const Error& e) {
      fail("{} (in {}, line {})", e.what(), path.string(), node.source().begin.line);
    }
  }
}

Isa isa_of(const SettingTexts& texts) {
  return is_auto(texts, "isa") ? best_isa() : isa_of(texts.at("isa"));
}

int threads_of(const SettingTexts& texts) {
  const auto found = texts.find("threads");
  const int64_t threads = found == texts.end() ? 0 : whole_number("threads", found->second);
  require(threads >= 0, "[settings] expected --threads of at least 0; got {}", threads);
  require(threads <= kMostThreads, "[settings] expected --threads of at most {}; got {}",
          kMostThreads, threads);
  return static_cast<int>(threads);
}

Settings settings_of(const SettingTexts& texts, const TrainingConfig& defaults) {
  Settings settings{.training = defaults};
  for (const auto& [name, text] : texts) assign(settings, name, text);
  if (is_auto(texts, "precision")) {
    settings.training.model.precision = bf16_obstacle().empty() ? DType::bf16 : DType::f32;
  }
  check(settings.training);
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
