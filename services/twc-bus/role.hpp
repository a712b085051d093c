#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/section.hpp"
#include "twc-bus/charger_view.hpp"
#include "twc-bus/protocol.hpp"

namespace twc_bus {

/// What this process is on the line.
enum class Role {
    master,  ///< Tells Wall Connectors what they may draw (TwcBus).
    listen,  ///< Shows what another master does and never sends a byte (Observer).
    slave,   ///< Is one of the units of another master and reports what it is granted (SlaveBus).
};

/// The unit that role `slave` plays.
struct SlaveSettings {
    UnitId id = 0x6A6A;
    int rating_ca = 0;  ///< What stands behind it may draw at most, in hundredths of an amp.
    int protocol = 2;   ///< 1 or 2: the form of its frames.
    std::optional<int>
        drawn_ca{};  ///< What it says it draws; none: all it is granted, so that the master keeps it free.
};

struct RoleSettings {
    Role role = Role::master;
    SlaveSettings slave;
};

/// `role` and `slave` of the `bus` section. Problems are reported through the section.
RoleSettings read_role(const config::Section& bus);

/// All that the roles beside `master` need to know.
struct RoleConfig {
    std::string port;  ///< For the log.
    Mains mains;
    std::filesystem::path state_file;
    SlaveSettings slave;  ///< Role `slave` only.
};

}  // namespace twc_bus
