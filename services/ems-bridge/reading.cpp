#include "ems-bridge/reading.hpp"

namespace ems_bridge {

namespace {

constexpr std::array<std::string_view, quantity_count> names{
    "grid_w",    "pv_w",         "house_w",      "battery_w",    "battery_soc_pct", "grid_l1_a",  "grid_l2_a",
    "grid_l3_a", "voltage_l1_v", "voltage_l2_v", "voltage_l3_v", "import_kwh",      "export_kwh", "pv_kwh"};

template <class AnyReading>
auto& select(AnyReading& reading, Quantity quantity) {
    switch (quantity) {
        case Quantity::grid_w:
            return reading.grid_w;
        case Quantity::pv_w:
            return reading.pv_w;
        case Quantity::house_w:
            return reading.house_w;
        case Quantity::battery_w:
            return reading.battery_w;
        case Quantity::battery_soc_pct:
            return reading.battery_soc_pct;
        case Quantity::grid_l1_a:
            return reading.grid_a[0];
        case Quantity::grid_l2_a:
            return reading.grid_a[1];
        case Quantity::grid_l3_a:
            return reading.grid_a[2];
        case Quantity::voltage_l1_v:
            return reading.voltage_v[0];
        case Quantity::voltage_l2_v:
            return reading.voltage_v[1];
        case Quantity::voltage_l3_v:
            return reading.voltage_v[2];
        case Quantity::import_kwh:
            return reading.import_kwh;
        case Quantity::export_kwh:
            return reading.export_kwh;
        case Quantity::pv_kwh:
            break;
    }
    return reading.pv_kwh;
}

}  // namespace

const std::array<Quantity, quantity_count>& all_quantities() {
    static constexpr auto all = [] {
        std::array<Quantity, quantity_count> list{};
        for (std::size_t i = 0; i < quantity_count; ++i) {
            list[i] = static_cast<Quantity>(i);
        }
        return list;
    }();
    return all;
}

std::string_view name_of(Quantity quantity) { return names[index_of(quantity)]; }

std::optional<double>& value_of(Reading& reading, Quantity quantity) { return select(reading, quantity); }
const std::optional<double>& value_of(const Reading& reading, Quantity quantity) { return select(reading, quantity); }

}  // namespace ems_bridge
