#include "ems-bridge/sources/solaredge.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "ems-bridge/program.hpp"

namespace ems_bridge {

namespace {

// SolarEdge "SunSpec logging" registers, base 0 (EMS source notes, SolarEdge).
namespace inverter {
constexpr int begin = 40069;
constexpr int count = 40;
constexpr int voltage = 40079;
constexpr int voltage_scale = 40082;
constexpr int ac_power = 40083;
constexpr int ac_power_scale = 40084;
constexpr int energy = 40093;
constexpr int energy_scale = 40095;
constexpr int dc_power = 40100;
constexpr int dc_power_scale = 40101;
constexpr int model_id = 40069;
}  // namespace inverter

namespace meter {
constexpr int block = 40121;  // of the first meter; a Synergy block in its place moves all of them
constexpr int spacing = 174;
constexpr int begin = 40188;
constexpr int count = 55;
constexpr int model_id = 40188;
constexpr int current = 40191;
constexpr int current_scale = 40194;
constexpr int voltage = 40196;
constexpr int voltage_scale = 40203;
constexpr int power = 40206;
constexpr int power_scale = 40210;
constexpr int exported = 40226;
constexpr int imported = 40234;
constexpr int energy_scale = 40242;
}  // namespace meter

// Little-endian words, unlike everything else in the device.
namespace battery {
constexpr int begin = 0xE170;
constexpr int count = 24;
constexpr int power = 0xE174;  // + charging
constexpr int state_of_energy = 0xE184;
}  // namespace battery

constexpr double watt_hours_per_kwh = 1000;

std::optional<double> negated(std::optional<double> value) { return value ? std::optional(-*value) : value; }

std::optional<double> kwh(std::optional<double> watt_hours) {
    return watt_hours ? std::optional(*watt_hours / watt_hours_per_kwh) : watt_hours;
}

void decode_battery(const RegisterImage& image, Reading& reading) {
    reading.battery_w = negated(image.value(battery::power, RegisterType::f32s));
    reading.battery_soc_pct = image.value(battery::state_of_energy, RegisterType::f32s);
    if (reading.battery_soc_pct && (*reading.battery_soc_pct < 0 || *reading.battery_soc_pct > 100)) {
        reading.battery_soc_pct.reset();
    }
}

// With a battery on the DC side, what the panels give is what the inverter converts plus what flows into the battery;
// without one the AC power is what reaches the house.
void decode_inverter(const RegisterImage& image, const SolarEdgeSettings& settings, Reading& reading) {
    const auto ac = image.value(inverter::ac_power, RegisterType::i16, inverter::ac_power_scale);
    const auto dc = image.value(inverter::dc_power, RegisterType::i16, inverter::dc_power_scale);
    reading.pv_asleep = !ac && !dc;
    if (settings.battery) {
        reading.pv_w = std::max(0.0, dc.value_or(0) - reading.battery_w.value_or(0));
    } else {
        reading.pv_w = std::max(0.0, ac.value_or(0));
    }
    reading.pv_kwh = kwh(image.value(inverter::energy, RegisterType::acc32, inverter::energy_scale));
    if (reading.grid_w) {
        reading.house_w = std::max(0.0, ac.value_or(0) + *reading.grid_w);
    }
    for (int phase = 0; phase < 3; ++phase) {
        auto& volts = reading.voltage_v[static_cast<std::size_t>(phase)];
        if (!volts) {
            volts = image.value(inverter::voltage + phase, RegisterType::u16, inverter::voltage_scale);
        }
    }
}

// The meter counts export as positive.
void decode_meter(const RegisterImage& image, int shift, Reading& reading) {
    reading.grid_w = negated(image.value(meter::power + shift, RegisterType::i16, meter::power_scale + shift));
    for (int phase = 0; phase < 3; ++phase) {
        const auto index = static_cast<std::size_t>(phase);
        const int offset = phase + shift;
        reading.voltage_v[index] =
            image.value(meter::voltage + offset, RegisterType::i16, meter::voltage_scale + shift);
        const auto amps = image.value(meter::current + offset, RegisterType::i16, meter::current_scale + shift);
        const auto watts = image.value(meter::power + 1 + offset, RegisterType::i16, meter::power_scale + shift);
        if (amps && watts) {  // the current's own sign differs between meters; the power's does not
            reading.grid_a[index] = *watts > 0 ? -std::abs(*amps) : std::abs(*amps);
        }
    }
    reading.export_kwh = kwh(image.value(meter::exported + shift, RegisterType::acc32, meter::energy_scale + shift));
    reading.import_kwh = kwh(image.value(meter::imported + shift, RegisterType::acc32, meter::energy_scale + shift));
}

class SolarEdge final : public Source {
public:
    SolarEdge(std::unique_ptr<ModbusClient> client, SolarEdgeSettings settings)
        : client_(std::move(client)), settings_(std::move(settings)) {}

    Reading read() override {
        RegisterImage image;
        read_into(image, *client_, false, settings_.unit, inverter::begin, inverter::count);
        check_is_inverter(image);
        if (settings_.meter > 0) {
            read_meter(image);
        }
        if (settings_.battery) {
            read_into(image, *client_, false, settings_.unit, battery::begin, battery::count);
        }
        return decode_solaredge(image, settings_, meter_shift_.value_or(0));
    }

private:
    void check_is_inverter(const RegisterImage& image) const {
        const auto model = image.word(inverter::model_id).value_or(0);
        constexpr int first_model = 101;
        constexpr int last_model = 103;
        if (model < first_model || model > last_model) {
            throw SourceError(ErrorKind::malformed,
                              fmt::format("{}:{} unit {}: register {} holds {}, not the model number of an inverter "
                                          "(101 to 103)",
                                          settings_.endpoint.host, settings_.endpoint.port, settings_.unit,
                                          inverter::model_id, model));
        }
    }

    void read_meter(RegisterImage& image) {
        if (!meter_shift_) {
            const auto header = client_->read_holding(settings_.unit, meter::block, 2);
            meter_shift_ = synergy_shift(header[0], header[1]);
        }
        const int shift = *meter_shift_ + (settings_.meter - 1) * meter::spacing;
        read_into(image, *client_, false, settings_.unit, meter::begin + shift, meter::count);
        const auto model = image.word(meter::model_id + shift).value_or(0);
        constexpr int first_model = 201;
        constexpr int last_model = 204;
        if (model < first_model || model > last_model) {
            throw SourceError(
                ErrorKind::device,
                fmt::format("{}:{} unit {}: no meter {}: register {} holds {}", settings_.endpoint.host,
                            settings_.endpoint.port, settings_.unit, settings_.meter, meter::model_id + shift, model));
        }
    }

    std::unique_ptr<ModbusClient> client_;
    SolarEdgeSettings settings_;
    std::optional<int> meter_shift_;
};

}  // namespace

int synergy_shift(std::uint16_t model_id, std::uint16_t model_length) {
    constexpr int mppt_model = 160;
    constexpr int shift_of_two_units = 50;
    constexpr int shift_of_three_units = 70;
    if (model_id != mppt_model) {
        return 0;
    }
    // Model 160 is 8 registers and 20 a module.
    constexpr int length_of_two_units = 48;
    return model_length > length_of_two_units ? shift_of_three_units : shift_of_two_units;
}

Reading decode_solaredge(const RegisterImage& image, const SolarEdgeSettings& settings, int meter_shift) {
    Reading reading;
    if (settings.meter > 0) {
        decode_meter(image, meter_shift + (settings.meter - 1) * meter::spacing, reading);
    }
    if (settings.battery) {
        decode_battery(image, reading);
    }
    decode_inverter(image, settings, reading);
    return reading;
}

SolarEdgeSettings read_solaredge(const config::Section& section) {
    constexpr int solaredge_port = 1502;
    constexpr int last_unit = 247;
    return {.endpoint = read_endpoint(section, solaredge_port, 2),
            .unit = section.integer_or("unit", 1, 1, last_unit),
            .meter = section.integer_or("meter", 1, 0, 3),
            .battery = section.flag_or("battery", false)};
}

MakeSource make_solaredge(SolarEdgeSettings settings) {
    return [settings = std::move(settings)](Io& io) -> std::unique_ptr<Source> {
        return std::make_unique<SolarEdge>(io.modbus.make_client(settings.endpoint), settings);
    };
}

}  // namespace ems_bridge
