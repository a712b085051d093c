#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ems-bridge/program.hpp"
#include "scheduling/scheduler.hpp"

namespace ems_bridge {

/// What arrives on a source's topics, turned into values. Pure: arrival times are arguments.
class MqttFeed {
public:
    MqttFeed(MqttProgram program, mapping::Mapping mapping)
        : program_(std::move(program)), mapping_(std::move(mapping)) {}

    struct Value {
        Quantity quantity{};
        std::optional<double> value;
        scheduling::Instant at;  ///< When the oldest part of it was true.
    };

    struct Message {
        std::string_view topic;
        std::string_view payload;
        bool retained = false;
        scheduling::Instant now;
        contract::WallTime wall_now;
    };

    /// The values this message changes. A retained message without a time stamp of its own is of unknown age and is
    /// passed over, unless the configuration accepts it. Throws SourceError when the payload makes no sense; the
    /// topic's last good payload is then forgotten.
    std::vector<Value> accept(const Message& message);

    const MqttProgram& program() const { return program_; }

private:
    // Takes the payload in; false when its age is unknown.
    bool store(const std::string& document, const Message& message);
    // None when one of them has not arrived.
    std::optional<scheduling::Instant> oldest_of(const std::set<std::string>& documents) const;
    void append_values(const std::string& document, std::string_view topic, std::vector<Value>& values);
    std::optional<scheduling::Instant> time_of(const Message& message, const mapping::Answer& answer) const;

    MqttProgram program_;
    mapping::Mapping mapping_;
    mapping::Answer answer_;
    std::map<std::string, scheduling::Instant> at_;  // by document
};

/// When something was true by the monotonic clock, given the civil time it carries. Never in the future.
scheduling::Instant instant_of(contract::WallTime measured_at, scheduling::Instant now, contract::WallTime wall_now);

}  // namespace ems_bridge
