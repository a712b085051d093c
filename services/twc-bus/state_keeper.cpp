#include "twc-bus/state_keeper.hpp"

#include <utility>

#include <spdlog/spdlog.h>

#include "storage/atomic_file.hpp"

namespace twc_bus {

namespace {

SavedState load_state(const std::filesystem::path& file) {
    try {
        const auto text = storage::read_if_present(file);
        return text ? saved_state_from_text(*text) : SavedState{};
    } catch (const std::exception& error) {
        spdlog::error("state file {}: {}; starting with empty counters", file.string(), error.what());
        std::error_code ignored;
        std::filesystem::rename(file, file.string() + ".unreadable", ignored);
        return {};
    }
}

}  // namespace

StateKeeper::StateKeeper(service::Environment& environment, service::ServiceHost& host, std::filesystem::path file)
    : host_(host),
      file_(std::move(file)),
      saved_(load_state(file_)),
      disk_(environment.workers.make_worker("twc-disk")),
      scope_(environment.loop) {}

void StateKeeper::save(const SavedState& state) {
    if (saving_) {
        waiting_ = state;
        return;
    }
    if (state == saved_) {
        return;
    }
    saving_ = true;
    scheduling::run_on(
        *disk_, scope_,
        [file = file_, text = to_json_text(state)] {
            storage::write_atomically(file, text);
            return true;
        },
        [this, state](const scheduling::Outcome<bool>& outcome) { on_outcome(outcome, state); });
}

void StateKeeper::on_outcome(const scheduling::Outcome<bool>& outcome, const SavedState& state) {
    saving_ = false;
    if (const auto* error = std::get_if<std::exception_ptr>(&outcome)) {
        try {
            std::rethrow_exception(*error);
        } catch (const std::exception& problem) {
            if (!std::exchange(failed_, true)) {
                spdlog::error("state not saved: {}", problem.what());
                host_.event("state_not_saved", {{"reason", problem.what()}});
            }
        }
        waiting_.reset();
        return;
    }
    if (std::exchange(failed_, false)) {
        spdlog::info("state is saved again");
    }
    saved_ = state;
    if (const auto next = std::exchange(waiting_, std::nullopt)) {
        save(*next);
    }
}

void StateKeeper::save_before_exit(const SavedState& state) {
    disk_.reset();
    if (state == saved_) {
        return;
    }
    try {
        storage::write_atomically(file_, to_json_text(state));
    } catch (const storage::StorageError& error) {
        spdlog::error("state not saved: {}", error.what());
    }
}

}  // namespace twc_bus
