// SPDX-License-Identifier: MIT
#include "adaspan/core/control_groups.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/file_tree.h"

namespace adaspan {
namespace {

/// A tree of files as the kernel shows them, below a root of its own.
class Machine : public FileTree {
 public:
  void processes_group(const std::string& text) const { write("proc/self/cgroup", text); }
  void mounted(const std::string& text) const { write("proc/self/mountinfo", text); }
  GroupLimits limits() const { return group_limits(root()); }
};

constexpr const char* kUnified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
constexpr const char* kVersion1 =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("where there are no control groups there is no limit") {
  const Machine machine;
  CHECK_FALSE(machine.limits().processors);
  CHECK_FALSE(machine.limits().free_memory);
}

TEST_CASE("version 2: the least quota of all groups around the process holds") {
  const Machine machine;
  machine.mounted(kUnified);
  machine.processes_group("0::/user.slice/job 7/step\n");
  machine.write("sys/fs/cgroup/user.slice/job 7/step/cpu.max", "400000 100000\n");
  machine.write("sys/fs/cgroup/user.slice/job 7/cpu.max", "150000 100000\n");
  machine.write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  CHECK(machine.limits().processors == 1.5);
  machine.write("sys/fs/cgroup/cpu.max", "5000 10000\n");  // as a container sees its own group
  CHECK(machine.limits().processors == 0.5);
}

TEST_CASE("version 2: memory is what the fullest group leaves, unused pages of files included") {
  const Machine machine;
  machine.mounted(kUnified);
  machine.processes_group("0::/a/b\n");
  machine.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  machine.write("sys/fs/cgroup/a/b/memory.current", "900\n");
  CHECK_FALSE(machine.limits().free_memory);
  machine.write("sys/fs/cgroup/a/memory.max", "1000\n");
  machine.write("sys/fs/cgroup/a/memory.current", "900\n");
  CHECK(machine.limits().free_memory == 100);
  machine.write("sys/fs/cgroup/a/memory.stat", "anon 500\nfile 400\ninactive_file 300\n");
  CHECK(machine.limits().free_memory == 400);
  machine.write("sys/fs/cgroup/a/memory.current", "2000\n");  // above the limit: nothing is free
  CHECK(machine.limits().free_memory == 0);
}

TEST_CASE("version 1 has a hierarchy for each controller, version 2 may stand beside it") {
  const Machine machine;
  machine.mounted(kVersion1);
  machine.processes_group("4:memory:/docker/1\n1:cpuacct,cpu:/docker/1\n0::/other\n");
  const std::string cpu = "sys/fs/cgroup/cpu,cpuacct/docker/1/";
  const std::string memory = "sys/fs/cgroup/memory/docker/1/";
  machine.write(cpu + "cpu.cfs_period_us", "100000\n");
  machine.write(cpu + "cpu.cfs_quota_us", "-1\n");
  machine.write(memory + "memory.limit_in_bytes", "9223372036854771712\n");
  machine.write(memory + "memory.usage_in_bytes", "5000\n");
  CHECK_FALSE(machine.limits().processors);
  CHECK_FALSE(machine.limits().free_memory);
  machine.write(cpu + "cpu.cfs_quota_us", "250000\n");
  machine.write(memory + "memory.limit_in_bytes", "8000\n");
  machine.write(memory + "memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
  CHECK(machine.limits().processors == 2.5);
  CHECK(machine.limits().free_memory == 3500);
  machine.write("sys/fs/cgroup/unified/other/cpu.max", "100000 100000\n");
  CHECK(machine.limits().processors == 1);
}

TEST_CASE("a container may see its group under a name of the host, or as the root of all") {
  const Machine machine;
  machine.write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  machine.write("sys/fs/cgroup/inner/cpu.max", "50000 100000\n");
  // The group /docker/1 of the host is mounted; the process is in it, or in a group within.
  machine.mounted("30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  machine.processes_group("0::/docker/1\n");
  CHECK(machine.limits().processors == 1);
  machine.processes_group("0::/docker/1/inner\n");
  CHECK(machine.limits().processors == 0.5);
  machine.processes_group("0::/docker/12/inner\n");  // another one, outside of what is mounted
  CHECK(machine.limits().processors == 1);
  // A namespace of its own: names are relative to its root, groups outside begin with "..".
  machine.mounted(kUnified);
  machine.processes_group("0::/\n");
  CHECK(machine.limits().processors == 1);
  machine.processes_group("0::/../inner\n");
  CHECK(machine.limits().processors == 1);
  machine.processes_group("0::/gone/inner\n");  // not shown here
  CHECK(machine.limits().processors == 1);
}

TEST_CASE("a blank in the folder of a mount is written as an octal number") {
  const Machine machine;
  machine.mounted("30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
  machine.processes_group("0::/\n");
  machine.write("my groups/cpu.max", "100000 50000\n");
  CHECK(machine.limits().processors == 2);
}

TEST_CASE("what makes no sense is no limit") {
  const Machine machine;
  machine.mounted(std::string(kUnified) + "half a line\n - \n30 - cgroup2\n");
  machine.processes_group("nonsense\n:\n0::/a\n");
  for (const char* text : {"", "x", "0 100000", "-5 100000", "5 0", "5", "\xff\xfe"}) {
    machine.write("sys/fs/cgroup/a/cpu.max", text);
    machine.write("sys/fs/cgroup/a/memory.max", text);
    CHECK_FALSE(machine.limits().processors);
    CHECK_FALSE(machine.limits().free_memory);
  }
}

}  // namespace adaspan
