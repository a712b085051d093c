#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "home_assistant/documents.hpp"
#include "service/environment.hpp"

namespace home_assistant {

/// Keeps the discovery documents of one service in the broker: retained, QoS 1, published when they change and again
/// when Home Assistant starts.
///
/// Before it says anything it looks for a moment at what is there of an earlier run. Documents of the other form are
/// withdrawn in the way that lets Home Assistant keep names and history; never are both forms there. Devices that are
/// not announced any more are withdrawn once there was time to find them all. Documents of others are left alone.
class Discovery {
public:
    /// The devices as they are now.
    using Describe = std::function<std::vector<Device>()>;

    /// Both functions are called on the loop, never by the constructor. `repeat_states`: publishes every state again,
    /// for a Home Assistant that has just started.
    Discovery(const service::Environment& environment, Describe describe, std::function<void()> repeat_states);

    /// To be called when what `describe` returns may have changed.
    void refresh();

private:
    enum class Phase { looking, migrating, running };

    void on_connection(bool connected);
    void on_document(const messaging::Delivery& delivery);
    void on_birth(const messaging::Delivery& delivery);
    void end_look();
    void migrate(std::vector<std::string> old_topics);
    void settle();
    void announce(bool everything);
    void send(const std::string& topic, const std::string& payload);

    const service::Environment& environment_;
    Announcer announcer_;
    Describe describe_;
    std::function<void()> repeat_states_;
    Phase phase_ = Phase::looking;
    bool is_settled_ = false;            ///< What is not announced by now is gone.
    Documents announced_;                ///< In the broker, as far as we know: of this run or an earlier one.
    std::set<std::string> interrupted_;  ///< Topics on which an earlier run was stopped while it changed the form.
    std::uint64_t births_ = 0;
    scheduling::Timer step_;
    scheduling::Timer birth_;
    scheduling::Timer settled_;
    scheduling::TaskScope scope_;
};

}  // namespace home_assistant
