// SPDX-License-Identifier: MIT
// Work done in a process of its own: what it took in memory is then its own, and so are its limits.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <string>

namespace adaspan {

struct ChildResult {
  std::string text;    ///< what the work returned, or the error it threw
  double peak = 0;     ///< largest resident set, bytes
  bool threw = false;  ///< an exception
  bool ended = false;  ///< by itself, neither killed nor crashed
};

/// Runs `work` in a child of this process, which must not have made threads yet.
inline ChildResult in_child(const std::function<std::string()>& work) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    std::string text;
    bool threw = false;
    try {
      text = work();
    } catch (const std::exception& e) {
      text = e.what();
      threw = true;
    }
    const bool written = write(pipe_ends[1], text.data(), text.size()) >= 0;
    _exit(threw ? 1 : written ? 0 : 2);
  }
  close(pipe_ends[1]);
  ChildResult result;
  char some[4096];
  for (ssize_t n = 0; (n = read(pipe_ends[0], some, sizeof some)) > 0;) {
    result.text.append(some, static_cast<size_t>(n));
  }
  close(pipe_ends[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  result.ended = WIFEXITED(status);
  result.threw = result.ended && WEXITSTATUS(status) == 1;
  result.peak = static_cast<double>(usage.ru_maxrss) * 1024;
  return result;
}

/// This process may map `bytes` of addresses from here on.
inline void limit_addresses(double bytes) {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = static_cast<rlim_t>(bytes);
  setrlimit(RLIMIT_AS, &limit);
}

}  // namespace adaspan
