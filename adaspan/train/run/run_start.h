// SPDX-License-Identifier: MIT
// How a run begins: where it was, with the weights of another run, or anew; and what of its folder
// is then no longer its own past.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <adaspan/train/run/checkpoint_folder.h>
#include <adaspan/train/run/run_files.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

struct RunStart {
  std::unique_ptr<CheckpointFolder> folder;
  std::optional<Resumption> from;  ///< where it goes on from a checkpoint
  std::vector<std::string> notes;  ///< what else is to be known, a line each
};

/// Puts into `trainer` the state that the run at trainer.config().run.checkpoint begins with, after
/// check_place() and check_owner(). What is later than that state is set aside. Throws Error as
/// these, CheckpointFolder and initialise() do; when the folder has the records of a run, but no
/// checkpoint that goes with them; and when the run did not begin with run.init_from, but that is
/// given. A folder that was not there is then not made.
RunStart start_run(Trainer& trainer);

}  // namespace adaspan
