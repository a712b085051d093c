#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "twc-bus/state_file.hpp"

namespace twc_bus {

/// The state file of a running service: read at the start, written away from the loop when something has changed.
/// A disk that refuses stops nothing and is reported once.
class StateKeeper {
public:
    /// What cannot be read is set aside as `<file>.unreadable`, so that its counters can be rescued by hand.
    StateKeeper(service::Environment& environment, service::ServiceHost& host, std::filesystem::path file);

    /// As it stands in the file.
    const SavedState& saved() const { return saved_; }
    /// Does nothing when that is what the file holds. One write at a time; of several waiting the newest is written.
    void save(const SavedState& state);
    /// Waits for the disk.
    void save_before_exit(const SavedState& state);

private:
    void on_outcome(const scheduling::Outcome<bool>& outcome, const SavedState& state);

    service::ServiceHost& host_;
    std::filesystem::path file_;
    SavedState saved_;
    std::unique_ptr<scheduling::Worker> disk_;
    bool saving_ = false;
    std::optional<SavedState> waiting_;
    bool failed_ = false;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
