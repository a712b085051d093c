#include "twc-bus/role.hpp"

#include <cmath>

#include <fmt/format.h>

namespace twc_bus {

namespace {

constexpr double largest_unit_a = 80;

int centiamps(double amps) { return static_cast<int>(std::lround(amps * 100)); }

SlaveSettings read_slave(const config::Section& slave) {
    const auto text = slave.text("id");
    const auto id = unit_id_from_text(text);
    if (!id || !is_plain(*id)) {
        slave.report("id", fmt::format("\"{}\" must be four hexadecimal digits in quotes, not 0000 or FFFF and without "
                                       "the bytes C0 and DB, which the bus escapes",
                                       text));
    }
    SlaveSettings settings{.id = id.value_or(0),
                           .rating_ca = centiamps(slave.number("rating_a", 5, largest_unit_a)),
                           .protocol = slave.integer_or("protocol", 2, 1, 2)};
    if (const auto drawn_a = slave.optional_number("drawn_a", 0, largest_unit_a)) {
        settings.drawn_ca = centiamps(*drawn_a);
        if (*settings.drawn_ca > settings.rating_ca) {
            slave.report("drawn_a",
                         fmt::format("{:g} A is above rating_a, {:g} A", *drawn_a, settings.rating_ca / 100.0));
        }
    }
    slave.reject_unknown_keys();
    return settings;
}

}  // namespace

RoleSettings read_role(const config::Section& bus) {
    RoleSettings settings;
    const auto word = bus.choice_or("role", "master", {"master", "listen", "slave"});
    settings.role = word == "listen" ? Role::listen : word == "slave" ? Role::slave : Role::master;
    if (settings.role == Role::slave || bus.has("slave")) {
        settings.slave = read_slave(bus.section("slave"));
    }
    return settings;
}

}  // namespace twc_bus
