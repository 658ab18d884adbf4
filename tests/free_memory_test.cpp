// SPDX-License-Identifier: MIT
#include "adaspan/core/free_memory.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "tests/support/file_tree.h"

namespace adaspan {
namespace {

/// Files as the kernel shows them, below a root of its own.
class Machine : public FileTree {
 public:
  /// What a limit leaves; -1 where there is no such limit.
  int64_t left(MemoryLimit limit) const {
    for (const FreeMemory& free : free_memory(root())) {
      if (free.limit == limit) return free.bytes;
    }
    return -1;
  }
  int64_t resident() const { return resident_bytes(root()); }
};

/// While it lives this process may map `bytes` of addresses.
class AddressLimit {
 public:
  explicit AddressLimit(rlim_t bytes) {
    getrlimit(RLIMIT_AS, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_AS, &limit);
  }
  ~AddressLimit() { setrlimit(RLIMIT_AS, &old_); }
  AddressLimit(const AddressLimit&) = delete;
  AddressLimit& operator=(const AddressLimit&) = delete;

 private:
  rlimit old_{};
};

TEST_CASE("where nothing can be read there is no limit") {
  const Machine machine;
  CHECK(machine.left(MemoryLimit::machine) == -1);
  CHECK(machine.left(MemoryLimit::control_group) == -1);
  CHECK(machine.left(MemoryLimit::addresses) == -1);
  CHECK(machine.resident() == 0);
}

TEST_CASE("a machine leaves what it has without swapping") {
  const Machine machine;
  machine.write("proc/meminfo", "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:   70 kB\n");
  CHECK(machine.left(MemoryLimit::machine) == 70 * 1024);
  machine.write("proc/meminfo", "MemTotal:  100 kB\nMemFree:  10 kB\n");
  CHECK(machine.left(MemoryLimit::machine) == -1);
}

TEST_CASE("a control group leaves its limit less what is used") {
  const Machine machine;
  machine.write("proc/self/cgroup", "0::/job\n");
  machine.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.write("sys/fs/cgroup/job/memory.max", "1000\n");
  machine.write("sys/fs/cgroup/job/memory.current", "900\n");
  CHECK(machine.left(MemoryLimit::control_group) == 100);
}

TEST_CASE("a limit of addresses leaves what is not mapped yet") {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const Machine machine;
  machine.write("proc/self/statm", "1000 300 100 5 0 200 0\n");
  CHECK(machine.left(MemoryLimit::addresses) == -1);
  CHECK(machine.resident() == 300 * page);
  const rlim_t limit = rlim_t{1} << 40;
  const AddressLimit limited(limit);
  CHECK(machine.left(MemoryLimit::addresses) == (int64_t{1} << 40) - 1000 * page);
  machine.write("proc/self/statm", std::to_string((rlim_t{1} << 41) / 4096) + " 300\n");
  CHECK(machine.left(MemoryLimit::addresses) == 0);
}

TEST_CASE("this machine has memory, and this process some of it") {
  CHECK_FALSE(free_memory().empty());
  CHECK(resident_bytes() > 0);
}

}  // namespace
}  // namespace adaspan
