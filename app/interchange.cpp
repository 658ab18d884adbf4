// SPDX-License-Identifier: MIT
#include "app/interchange.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/loaded_model.h"
#include "app/places.h"

namespace adaspan {
namespace {

/// Runs a program, without a shell. Returns its exit code, or 128 and more for a signal; `output`
/// is what it wrote to standard error.
int run(const std::vector<std::string>& words, std::string& output) {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, "[python] expected a pipe; got: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::array<char, 4096> part;
  for (ssize_t n; failure == 0 && (n = ::read(ends[0], part.data(), part.size())) > 0;) {
    output.append(part.data(), static_cast<size_t>(n));
  }
  ::close(ends[0]);
  require(failure == 0, "[python] expected to run {}; got: {}; give --python FILE", words[0],
          std::strerror(failure));
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The last line, where Python names the error.
std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

void run_script(const std::string& python, const char* command, const std::filesystem::path& from,
                const std::filesystem::path& to, Weights weights = Weights::last) {
  std::string output;
  const std::string script = (data_folder() / "tools" / "pytorch_checkpoint.py").string();
  std::vector<std::string> words{python, script, command, from.string(), to.string()};
  if (weights == Weights::ema) words.push_back("ema");
  const int code = run(words, output);
  const std::string line = last_line(output);
  if (code == 2 && line.starts_with('[')) fail("{}", line);  // one of its own errors
  require(code == 0, "[python] expected {} to run {}; got exit code {}: {}", python, script, code,
          line.empty() ? "it says nothing" : line);
}

/// A number of the file that fits the steps of a run; Python's are of any size.
int64_t count(const SafetensorsFile& file, const char* key) {
  const std::string& text = file.metadata(key);
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  require(error == std::errc() && end == text.data() + text.size(),
          "[interchange] expected a count of {} below 2^32; got {}; the file is damaged", key,
          text);
  return number;
}

/// Rows of an embedding's table.
int64_t rows(const SafetensorsFile& file, const std::string& table) {
  const Shape& shape = file.shape(table);
  require(shape.rank() == 2, "[interchange] expected {} of two extents; got shape {}", table,
          shape.text());
  return shape[0];
}

int64_t vocabulary(const SafetensorsFile& file, const ModelConfig& model) {
  if (!model.adaptive_io.on) return rows(file, "in_emb.weight");
  int64_t tokens = 0;
  for (size_t i = 0; i <= model.adaptive_io.cutoffs.size(); ++i) {
    tokens += rows(file, fmt::format("in_emb.emb_layers.{}.weight", i));
  }
  return tokens;
}

void require_new(const char* flag, const std::filesystem::path& path) {
  require(!std::filesystem::exists(path),
          "[interchange] expected {} with the name of a new file; got {}, which is there already",
          flag, path.string());
}

}  // namespace

PytorchCheckpoint::PytorchCheckpoint(const std::filesystem::path& file,
                                     const std::filesystem::path& out, const std::string& python)
    : out_(out), converted_(out.string() + ".converted.tmp") {
  require_new("--out", out);
  make_folder_of(out);
  run_script(python, "to-safetensors", file, converted_);
}

PytorchCheckpoint::~PytorchCheckpoint() {
  std::error_code ignored;
  std::filesystem::remove(converted_, ignored);
}

TrainingConfig PytorchCheckpoint::config() const {
  return config_from_json(
      nlohmann::ordered_json::parse(SafetensorsFile(converted_).metadata("settings")));
}

int64_t PytorchCheckpoint::save(const TrainingConfig& config) const {
  const SafetensorsFile file(converted_);
  CheckpointHeader header{
      .config = config, .data = vocabulary(file, config.model), .progress = {}, .isa = name(isa())};
  header.config.model.vocabulary = header.data.vocabulary;
  header.progress.step = file.metadata().contains("steps")
                             ? count(file, "steps")
                             : count(file, "rounds") * config.run.steps_per_round;
  const auto made = make_model(header.config.model, file);
  Transformer& model = *made;
  const auto optimizer = make_optimizer(config.optimizer, model.parameters().all());

  copy_weights(model, file);
  for (const auto& [name, tensor] : optimizer->state()) copy_tensor(*tensor, file, name);
  std::vector<NamedTensor> tensors = state_of(model, *optimizer);
  std::set<std::string> expected;
  for (const NamedTensor& one : tensors) expected.insert(one.name);
  for (const std::string& name : file.names()) {
    require(expected.contains(name),
            "[interchange] expected the weights of a model of these settings alone; got {}, too; "
            "it may be of a part that is not here",
            name);
  }
  const Memory memory = model.fresh_memory(config.batch.sequences);
  for (const auto text : {Trainer::MemoryOf::train, Trainer::MemoryOf::valid}) {
    const bool rolling = config.run.validation == ValidationMode::rolling;
    if (text == Trainer::MemoryOf::valid && !rolling) continue;
    for (int64_t l = 0; l < config.model.layers; ++l) {
      tensors.push_back(memory_tensor(text, l, {memory[static_cast<size_t>(l)]}));
    }
  }
  write_checkpoint(out_, header, tensors);
  return header.progress.step;
}

void export_to_pytorch(const std::filesystem::path& checkpoint, const std::filesystem::path& file,
                       const std::string& python, Weights weights) {
  require_new("--to-pytorch", file);
  load_model(checkpoint, weights);
  make_folder_of(file);
  run_script(python, "from-safetensors", checkpoint, file, weights);
}

}  // namespace adaspan
