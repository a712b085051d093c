#pragma once

#include <string>

#include "service/environment.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/line_view.hpp"
#include "twc-bus/role.hpp"

namespace twc_bus {

/// Role `listen`: shows the bus of another master. It is given only the receiving half of the line.
class Observer {
public:
    /// `line` and `environment` outlive it.
    Observer(const RoleConfig& config, service::Environment& environment, ByteSource& line);
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    ~Observer();

private:
    void publish();
    std::string link_word() const;
    std::string reason() const;

    service::Environment& environment_;
    ByteSource& line_;
    LineView view_;
    std::string shown_reason_;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
