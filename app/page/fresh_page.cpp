// SPDX-License-Identifier: MIT
#include "app/page/fresh_page.h"

#include <fmt/core.h>

#include <utility>

#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "app/page/run_page.h"

namespace adaspan {
namespace {

constexpr int kRefreshSeconds = 10;
constexpr int kLeastShare = 100;  // of the time since the last page, that writing one may take

}  // namespace

FreshPage::FreshPage(Output& output, std::filesystem::path folder, int64_t every)
    : output_(output), folder_(std::move(folder)), every_(every) {}

void FreshPage::stepped(const StepReport& report, double) {
  if (report.step % every_ != 0 || Clock::now() - written_ < kLeastShare * took_) return;
  write(kRefreshSeconds);
}

void FreshPage::finish() {
  write(0);
}

void FreshPage::write(int refresh_s) {
  const auto begin = Clock::now();
  try {
    const std::string page = page_of(
        {read_run(folder_)},
        {.without_test = "The test text is read by 'adaspan report'.", .refresh_s = refresh_s});
    atomic_write(folder_ / "report.html", page);
  } catch (const Error& error) {
    if (!std::exchange(failed_, true)) {
      output_.note(fmt::format("the page could not be written: {}", error.what()));
    }
  }
  written_ = Clock::now();
  took_ = written_ - begin;
}

}  // namespace adaspan
