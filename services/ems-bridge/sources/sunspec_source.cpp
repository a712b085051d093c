#include "ems-bridge/sources/sunspec_source.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "ems-bridge/program.hpp"

namespace ems_bridge {

namespace {

using sunspec::Model;

constexpr double watt_hours_per_kwh = 1000;

// Reads points of one device by name.
class Points {
public:
    Points(const std::vector<Model>& models, const RegisterImage& image) : models_(models), image_(image) {}

    const Model* find(std::initializer_list<int> ids) const { return sunspec::find(models_, ids); }

    std::optional<double> at(const Model* model, const char* name) const {
        return model == nullptr ? std::nullopt : sunspec::value(models_, image_, {model->id, 0, name});
    }

    std::optional<double> module_w(int module) const { return sunspec::value(models_, image_, {mppt, module, "DCW"}); }

    std::optional<double> kwh(const Model* model, const char* name) const {
        const auto watt_hours = at(model, name);
        return watt_hours ? std::optional(*watt_hours / watt_hours_per_kwh) : std::nullopt;
    }

    static constexpr int mppt = 160;

private:
    const std::vector<Model>& models_;
    const RegisterImage& image_;
};

const Model* find_inverter(const Points& points) { return points.find({101, 102, 103, 111, 112, 113, 701}); }
const Model* find_meter(const Points& points) { return points.find({201, 202, 203, 204, 211, 212, 213, 214}); }

std::optional<double> signed_value(std::optional<double> value, bool invert) {
    return value && invert ? std::optional(-*value) : value;
}

void decode_voltages(const Points& points, const Model* model, Reading& reading) {
    constexpr std::array names{"PhVphA", "PhVphB", "PhVphC"};
    for (std::size_t phase = 0; phase < names.size(); ++phase) {
        const auto volts = points.at(model, names[phase]);
        if (volts && *volts > 0) {  // a phase that is not connected
            reading.voltage_v[phase] = volts;
        }
    }
}

void decode_pv(const Points& points, bool hybrid, Reading& reading) {
    const Model* const inverter = find_inverter(points);
    const auto ac = points.at(inverter, "W");
    if (hybrid) {
        const auto first = points.module_w(1);
        const auto second = points.module_w(2);
        reading.pv_asleep = !first && !second && !ac;
        reading.pv_w = first.value_or(0) + second.value_or(0);
    } else {
        reading.pv_asleep = !ac;
        reading.pv_w = std::max(0.0, ac.value_or(0));
    }
    reading.pv_kwh = points.kwh(inverter, "WH");
}

void decode_meter(const Points& points, bool invert, Reading& reading) {
    constexpr std::array currents{"AphA", "AphB", "AphC"};
    constexpr std::array powers{"WphA", "WphB", "WphC"};
    const Model* const meter = find_meter(points);
    reading.grid_w = signed_value(points.at(meter, "W"), invert);
    for (std::size_t phase = 0; phase < currents.size(); ++phase) {
        const auto amps = points.at(meter, currents[phase]);
        const auto watts = signed_value(points.at(meter, powers[phase]), invert);
        if (amps && watts) {  // many meters give the current without a sign
            reading.grid_a[phase] = std::copysign(*amps, *watts);
        }
    }
    reading.import_kwh = points.kwh(meter, invert ? "TotWhExp" : "TotWhImp");
    reading.export_kwh = points.kwh(meter, invert ? "TotWhImp" : "TotWhExp");
    decode_voltages(points, meter, reading);
}

void decode_battery(const Points& points, const SunSpecSettings& settings, Reading& reading) {
    if (settings.hybrid) {
        const auto charge = points.module_w(3);
        const auto discharge = points.module_w(4);
        if (charge || discharge) {
            reading.battery_w = discharge.value_or(0) - charge.value_or(0);
        }
    } else {
        reading.battery_w = signed_value(points.at(points.find({802}), "W"), settings.invert_battery);
    }
    for (const auto& [id, name] : {std::pair{802, "SoC"}, {713, "SoC"}, {124, "ChaState"}}) {
        if (!reading.battery_soc_pct) {
            reading.battery_soc_pct = points.at(points.find({id}), name);
        }
    }
}

class SunSpec final : public Source {
public:
    SunSpec(std::unique_ptr<ModbusClient> client, SunSpecSettings settings)
        : client_(std::move(client)), settings_(std::move(settings)) {}

    Reading read() override {
        if (models_.empty()) {
            models_ = sunspec::walk(
                [this](int address, int count) { return client_->read_holding(settings_.unit, address, count); },
                settings_.base);
            require_models();
        }
        RegisterImage image;
        for (const auto& model : models_) {
            if (is_of_use(model.id)) {
                read_into(image, *client_, false, settings_.unit, model.address, model.length + 2);
            }
        }
        return decode_sunspec(models_, image, settings_);
    }

private:
    // Fixed for all models of interest: what a device has beside them is never read.
    bool is_of_use(int id) const {
        const bool is_meter = id >= 201 && id <= 214;
        const bool is_inverter = (id >= 101 && id <= 113) || id == Points::mppt || id == 701;
        const bool is_battery = id == 124 || id == 713 || id == 802;
        return (is_meter && settings_.roles.contains(Role::grid)) || is_inverter ||
               (is_battery && settings_.roles.contains(Role::battery));
    }

    void require_models() {
        RegisterImage nothing;
        const Points points(models_, nothing);
        require(Role::grid, find_meter(points) != nullptr, "meter (models 201 to 214)");
        require(Role::pv, find_inverter(points) != nullptr, "inverter (models 101 to 113 or 701)");
        require(Role::battery, points.find({802, 713, 124}) != nullptr, "battery (models 802, 713 or 124)");
    }

    void require(Role role, bool is_there, const char* what) {
        if (settings_.roles.contains(role) && !is_there) {
            models_.clear();
            throw SourceError(ErrorKind::device, fmt::format("{}:{} unit {} has no SunSpec {}", settings_.endpoint.host,
                                                             settings_.endpoint.port, settings_.unit, what));
        }
    }

    std::unique_ptr<ModbusClient> client_;
    SunSpecSettings settings_;
    std::vector<Model> models_;
};

}  // namespace

Reading decode_sunspec(const std::vector<Model>& models, const RegisterImage& image, const SunSpecSettings& settings) {
    const Points points(models, image);
    Reading reading;
    decode_voltages(points, find_inverter(points), reading);
    if (settings.roles.contains(Role::grid)) {
        decode_meter(points, settings.invert_grid, reading);
    }
    if (settings.roles.contains(Role::pv)) {
        decode_pv(points, settings.hybrid, reading);
    }
    if (settings.roles.contains(Role::battery)) {
        decode_battery(points, settings, reading);
    }
    return reading;
}

SunSpecSettings read_sunspec(const config::Section& section) {
    constexpr int modbus_port = 502;
    constexpr int last_unit = 247;
    constexpr int last_address = 65535;
    SunSpecSettings settings{.endpoint = read_endpoint(section, modbus_port)};
    settings.unit = section.integer_or("unit", 1, 1, last_unit);
    if (section.has("base")) {
        settings.base = section.integer("base", 0, last_address);
    }
    settings.invert_grid = section.flag_or("invert_grid", false);
    settings.invert_battery = section.flag_or("invert_battery", false);
    settings.hybrid = section.flag_or("hybrid", false);
    return settings;
}

MakeSource make_sunspec(SunSpecSettings settings) {
    return [settings = std::move(settings)](Io& io) -> std::unique_ptr<Source> {
        return std::make_unique<SunSpec>(io.modbus.make_client(settings.endpoint), settings);
    };
}

}  // namespace ems_bridge
