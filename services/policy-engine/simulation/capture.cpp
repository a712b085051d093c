#include "policy-engine/simulation/capture.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <istream>
#include <stdexcept>

#include <fmt/format.h>

#include "contract/messages.hpp"

namespace policy_engine::simulation {

namespace {

using contract::Invalid;
using namespace std::chrono_literals;

constexpr double joule_per_kwh = 3.6e6;
constexpr std::size_t longest_line = 1UL << 20U;
constexpr std::size_t longest_recording_s = 31UL * 86400UL;
constexpr std::size_t most_problems = 10;
constexpr double usual_voltage_v = 230;
// What the broker kept from long ago arrives first; its time stamp gives it away.
constexpr Duration oldest_state = 10min;
// Two messages of one moment may be written in either order.
constexpr Duration harmless_disorder = 2s;
constexpr const char* how_to_record = "record with mosquitto_sub -t 'twc/#' -F '%U %t %p'";

std::string shown(std::string_view text) {
    constexpr std::size_t most = 40;
    std::string excerpt(text.substr(0, most));
    std::ranges::replace_if(
        excerpt, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text.size() > most ? excerpt + "..." : excerpt;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<WallTime> epoch_time(double seconds_since_1970) {
    // To 2261: later ones do not fit 64 bits of nanoseconds.
    constexpr double latest = 9.19e9;
    if (!(seconds_since_1970 >= 0 && seconds_since_1970 < latest)) {
        return std::nullopt;
    }
    return WallTime(from_seconds(seconds_since_1970));
}

// %I and %j write 2026-01-31T12:00:00+0100 and 2026-01-31T12:00:00.123456Z+0100 (sic): local time and its offset.
std::optional<WallTime> iso_time(std::string_view text) {
    std::string plain(text);
    const auto sign = plain.find_last_of("+-");
    const bool bare_offset = sign != std::string::npos && sign > 0 && plain.size() == sign + 5 &&
                             std::ranges::all_of(plain.substr(sign + 1), is_digit);
    if (bare_offset) {
        plain.insert(sign + 3, ":");
        if (plain[sign - 1] == 'Z') {
            plain.erase(sign - 1, 1);
        }
    }
    return contract::parse_timestamp(plain);
}

WallTime line_time(std::string_view text) {
    double seconds_since_1970 = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, seconds_since_1970, std::chars_format::fixed);
    const auto time = parsed.ec == std::errc{} && parsed.ptr == end ? epoch_time(seconds_since_1970) : iso_time(text);
    if (!time) {
        throw Invalid(
            fmt::format("\"{}\" is not a time: expected %U or %I of mosquitto_sub; {}", shown(text), how_to_record));
    }
    return *time;
}

CaptureLine json_line(std::string_view line) {
    const auto json = contract::parse_json(line);
    const auto member = [&](const char* key) -> const nlohmann::json& {
        const auto found = json.find(key);
        if (found == json.end()) {
            throw Invalid(fmt::format("no \"{}\": expected the JSON of mosquitto_sub -F %j", key));
        }
        return *found;
    };
    const auto& at = member("tst");
    const auto& topic = member("topic");
    const auto& payload = member("payload");
    if (!topic.is_string() || !(at.is_string() || at.is_number())) {
        throw Invalid("tst or topic is not as mosquitto_sub -F %j writes it");
    }
    CaptureLine result{.topic = topic.get<std::string>()};
    // Mosquitto 1 wrote a number.
    const auto time = at.is_number() ? epoch_time(at.get<double>()) : iso_time(at.get_ref<const std::string&>());
    if (!time) {
        throw Invalid(fmt::format("tst: {} is not a time", shown(contract::to_text(at))));
    }
    result.at = *time;
    if (payload.is_string()) {
        result.payload = payload.get<std::string>();
    } else if (!payload.is_null()) {
        result.payload = contract::to_text(payload);
    }
    return result;
}

// False at the end. What is beyond the longest line is dropped, so that no file can fill the memory.
bool next_line(std::istream& text, std::string& line) {
    line.clear();
    auto* const buffer = text.rdbuf();
    bool any = false;
    for (int c = buffer->sbumpc(); c != std::istream::traits_type::eof(); c = buffer->sbumpc()) {
        any = true;
        if (c == '\n') {
            break;
        }
        if (line.size() <= longest_line) {
            line.push_back(static_cast<char>(c));
        }
    }
    if (!line.empty() && line.back() == '\r') {
        line.pop_back();
    }
    return any;
}

WallTime whole_second(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time); }

void check_age(const std::optional<WallTime>& ts, WallTime at) {
    if (ts && at - *ts > oldest_state) {
        throw Invalid(fmt::format("ts: {} lies more than 10 min before the line: a state the broker had kept",
                                  contract::format_timestamp(*ts)));
    }
}

double power_w(const contract::ChargerState& state) {
    if (state.power_w) {
        return *state.power_w;
    }
    return state.current_a.value_or(0) * state.phases.value_or(1) * state.voltage_l1_v.value_or(usual_voltage_v);
}

void add_slot(Tariff& tariff, const contract::TariffSlot& slot) {
    std::erase_if(tariff, [&](const auto& old) { return old.start >= slot.start && old.start < slot.end; });
    const auto place = std::ranges::lower_bound(tariff, slot.start, {}, &contract::TariffSlot::start);
    if (place != tariff.begin() && std::prev(place)->end > slot.start) {
        std::prev(place)->end = slot.start;
    }
    tariff.insert(place, slot);
}

/// Takes one line after the other; time only goes forward.
class Reader {
public:
    Reader(std::string name, const CaptureOptions& options)
        : name_(std::move(name)), options_(options), topics_(options.base_topic) {}

    /// False: nothing that follows is wanted.
    bool take(std::string_view line);
    Recording finish();

private:
    struct ChargerNow {
        double power_w = 0;
        std::optional<WallTime> at;
        std::vector<std::pair<WallTime, bool>> plugged;
        double silent_s = 0;
    };
    struct VehicleNow {
        std::vector<std::pair<WallTime, double>> soc_pct;
    };

    void take(const CaptureLine& line);
    void take_site(const CaptureLine& line);
    void take_tariff(const CaptureLine& line);
    void take_charger(const std::string& id, const CaptureLine& line);
    void take_vehicle(const std::string& alias, const CaptureLine& line);
    std::optional<SiteSecond> second_of(const contract::SitePower& power);
    void add(WallTime at, const SiteSecond& second);
    void bridge(const SiteSecond& next, std::size_t missing);
    double chargers_w() const;
    void count_energy(std::size_t seconds);
    void finish_chargers();
    void finish_vehicles();
    void remark_on_chargers();
    std::size_t second_at(WallTime time) const;

    std::string name_;
    const CaptureOptions& options_;
    contract::Topics topics_;
    Recording recording_;
    std::map<std::string, ChargerNow> chargers_;
    std::map<std::string, VehicleNow> vehicles_;
    WallTime now_{};
    std::size_t line_ = 0;
    std::size_t last_site_line_ = 0;
    std::size_t balance_only_ = 0;
    std::size_t without_power_ = 0;
};

bool Reader::take(std::string_view line) {
    ++line_;
    if (line.find_first_not_of(" \t") == std::string_view::npos) {
        return true;
    }
    try {
        if (line.size() > longest_line) {
            throw Invalid("longer than 1 MiB: expected one message a line");
        }
        const auto parsed = parse_capture_line(line);
        if (parsed.at + harmless_disorder < now_) {
            throw Invalid(fmt::format("{} lies before the line above: expected time to go forward",
                                      contract::format_timestamp(parsed.at)));
        }
        if (options_.to && parsed.at >= *options_.to) {
            return false;
        }
        now_ = std::max(now_, parsed.at);
        take(parsed);
    } catch (const Invalid& error) {
        if (++recording_.skipped_lines <= most_problems) {
            recording_.problems.push_back(fmt::format("{}:{}: {}", name_, line_, error.what()));
        }
    }
    return true;
}

void Reader::take(const CaptureLine& line) {
    const auto charger = contract::Topics::wildcard_level(topics_.charger_state("+"), line.topic);
    const auto vehicle = contract::Topics::wildcard_level(topics_.vehicle_state("+"), line.topic);
    const bool site = line.topic == topics_.ems_state();
    const bool tariff = line.topic == topics_.ems_tariff_state();
    if (!site && !tariff && !charger && !vehicle) {
        ++recording_.other_topics;
        return;
    }
    if (line.payload.empty()) {
        return;  // its sender withdrew the topic
    }
    for (const auto& id : {charger, vehicle}) {
        if (id && !contract::is_valid_id(*id)) {
            throw Invalid(fmt::format("topic {}: expected an id of a-z, 0-9, _ and -", shown(line.topic)));
        }
    }
    try {
        if (site) {
            take_site(line);
        } else if (tariff) {
            take_tariff(line);
        } else if (charger) {
            take_charger(*charger, line);
        } else {
            take_vehicle(*vehicle, line);
        }
    } catch (const Invalid& error) {
        throw Invalid(fmt::format("{}: {}", line.topic, error.what()));
    }
    ++recording_.messages;
}

void Reader::take_site(const CaptureLine& line) {
    const auto power = contract::from_text<contract::SitePower>(line.payload);
    check_age(power.ts, line.at);
    if (power.quality == "stale" || power.quality == "error") {
        ++without_power_;
        return;
    }
    const auto second = second_of(power);
    if (!second) {
        ++without_power_;
    } else if (!options_.from || now_ >= *options_.from) {
        add(now_, *second);
    }
}

// What is not measured follows from what is: pv + grid + battery = house.
std::optional<SiteSecond> Reader::second_of(const contract::SitePower& power) {
    const double battery_w = power.battery_w.value_or(0);
    SiteSecond second{.battery_w = power.battery_w, .battery_soc_pct = power.battery_soc_pct};
    double house_w = 0;
    if (power.pv_w && (power.house_w || power.grid_w)) {
        second.pv_w = *power.pv_w;
        house_w = power.house_w ? *power.house_w : *power.grid_w + *power.pv_w + battery_w;
    } else if (power.house_w && power.grid_w) {
        house_w = *power.house_w;
        second.pv_w = house_w - *power.grid_w - battery_w;
    } else if (power.grid_w) {
        ++balance_only_;
        house_w = *power.grid_w + battery_w;
        second.pv_w = std::max(0.0, chargers_w() - house_w);
        house_w += second.pv_w;
    } else {
        return std::nullopt;
    }
    second.load_w = house_w - chargers_w();
    return second;
}

double Reader::chargers_w() const {
    double sum_w = 0;
    for (const auto& [id, charger] : chargers_) {
        const bool heard = charger.at && seconds(now_ - *charger.at) <= options_.silence_s;
        sum_w += heard ? charger.power_w : 0;
    }
    return sum_w;
}

std::size_t Reader::second_at(WallTime time) const {
    const auto passed = std::chrono::floor<std::chrono::seconds>(time - recording_.start).count();
    return passed < 0 ? 0 : std::min(static_cast<std::size_t>(passed), recording_.seconds.size());
}

void Reader::add(WallTime at, const SiteSecond& second) {
    auto& seconds_so_far = recording_.seconds;
    if (seconds_so_far.empty()) {
        recording_.start = whole_second(at);
        seconds_so_far.push_back(second);
        last_site_line_ = line_;
        return;
    }
    const auto place = static_cast<std::size_t>((whole_second(at) - recording_.start) / std::chrono::seconds(1));
    const std::size_t known = seconds_so_far.size();
    if (place < known) {
        seconds_so_far.back() = second;
        last_site_line_ = line_;
        return;
    }
    const std::size_t missing = place - known;
    if (static_cast<double>(missing) > options_.longest_gap_s) {
        throw std::runtime_error(fmt::format(
            "{}:{}: no usable {} for {} s, since line {}: expected at most {:.0f} s; choose a part with --from and "
            "--to, or allow more with --max-gap",
            name_, line_, topics_.ems_state(), missing, last_site_line_, options_.longest_gap_s));
    }
    if (place >= longest_recording_s) {
        throw std::runtime_error(
            fmt::format("{}:{}: more than 31 days: choose a part with --from and --to", name_, line_));
    }
    bridge(second, missing);
    seconds_so_far.push_back(second);
    count_energy(missing + 1);
    last_site_line_ = line_;
}

void Reader::bridge(const SiteSecond& next, std::size_t missing) {
    const SiteSecond before = recording_.seconds.back();
    if (static_cast<double>(missing) <= options_.silence_s) {
        recording_.seconds.insert(recording_.seconds.end(), missing, before);
        return;
    }
    recording_.gaps.push_back(
        {recording_.start + std::chrono::seconds(recording_.seconds.size()), static_cast<double>(missing)});
    for (std::size_t i = 1; i <= missing; ++i) {
        const double part = static_cast<double>(i) / static_cast<double>(missing + 1);
        const auto between = [&](double a, double b) { return a + (b - a) * part; };
        SiteSecond second = before;
        second.pv_w = between(before.pv_w, next.pv_w);
        second.load_w = between(before.load_w, next.load_w);
        if (before.battery_w && next.battery_w) {
            second.battery_w = between(*before.battery_w, *next.battery_w);
        }
        recording_.seconds.push_back(second);
    }
}

void Reader::count_energy(std::size_t seconds_passed) {
    const auto passed_s = static_cast<double>(seconds_passed);
    for (auto& [id, charger] : chargers_) {
        const bool heard = charger.at && seconds(now_ - *charger.at) <= options_.silence_s;
        recording_.chargers[id].drawn_kwh += heard ? charger.power_w * passed_s / joule_per_kwh : 0;
        charger.silent_s += heard ? 0 : passed_s;
    }
}

void Reader::take_tariff(const CaptureLine& line) {
    const auto tariff = contract::from_text<contract::TariffState>(line.payload);
    for (const auto& slot : tariff.slots) {
        if (slot.end <= slot.start) {
            throw Invalid(
                fmt::format("slots: one ends at {}, not after its start", contract::format_timestamp(slot.end)));
        }
    }
    for (const auto& slot : tariff.slots) {
        add_slot(recording_.tariff, slot);
    }
    if (tariff.currency) {
        recording_.currency = *tariff.currency;
    }
}

void Reader::take_charger(const std::string& id, const CaptureLine& line) {
    const auto state = contract::from_text<contract::ChargerState>(line.payload);
    check_age(state.ts, line.at);
    auto& charger = chargers_[id];
    charger.power_w = power_w(state);
    charger.at = now_;
    const bool plugged = state.plugged.value_or(true);
    if (charger.plugged.empty() || charger.plugged.back().second != plugged) {
        charger.plugged.emplace_back(now_, plugged);
    }
    auto& recorded = recording_.chargers[id];
    recorded.phases = state.phases ? state.phases : recorded.phases;
    recorded.max_a = state.max_a && *state.max_a > 0 ? state.max_a : recorded.max_a;
    recorded.vin = state.vin ? state.vin : recorded.vin;
}

void Reader::take_vehicle(const std::string& alias, const CaptureLine& line) {
    const auto state = contract::from_text<contract::VehicleState>(line.payload);
    auto& soc_pct = vehicles_[alias].soc_pct;
    if (state.soc_pct && (soc_pct.empty() || soc_pct.back().second != *state.soc_pct)) {
        soc_pct.emplace_back(now_, *state.soc_pct);
    }
    auto& recorded = recording_.vehicles[alias];
    recorded.vin = state.vin ? state.vin : recorded.vin;
    recorded.charge_limit_pct = state.charge_limit_pct ? state.charge_limit_pct : recorded.charge_limit_pct;
}

void Reader::finish_chargers() {
    for (const auto& [id, charger] : chargers_) {
        auto& spans = recording_.chargers[id].plugged;
        for (std::size_t i = 0; i < charger.plugged.size(); ++i) {
            const auto& [at, plugged] = charger.plugged[i];
            // The first state is what was so before the recording began.
            const std::size_t begin = i == 0 ? 0 : second_at(at);
            const std::size_t end =
                i + 1 < charger.plugged.size() ? second_at(charger.plugged[i + 1].first) : recording_.seconds.size();
            if (plugged && begin < end) {
                spans.push_back({begin, end});
            }
        }
    }
}

void Reader::finish_vehicles() {
    for (const auto& [alias, vehicle] : vehicles_) {
        auto& changes = recording_.vehicles[alias].soc_pct;
        for (const auto& [at, soc_pct] : vehicle.soc_pct) {
            const std::size_t second = second_at(at);
            if (!changes.empty() && changes.back().first == second) {
                changes.pop_back();
            }
            changes.emplace_back(second, soc_pct);
        }
    }
}

void Reader::remark_on_chargers() {
    for (const auto& [id, charger] : chargers_) {
        if (charger.silent_s > options_.silence_s) {
            recording_.remarks.push_back(
                fmt::format("charger {} was not heard for {:.0f} s in all: counted as drawing nothing in that time", id,
                            charger.silent_s));
        }
    }
}

Recording Reader::finish() {
    if (recording_.seconds.empty()) {
        throw std::runtime_error(fmt::format(
            "{}: none of {} lines holds a usable {} in the time asked for ({} without power, {} lines skipped, {} of "
            "other topics): {}{}",
            name_, line_, topics_.ems_state(), without_power_, recording_.skipped_lines, recording_.other_topics,
            how_to_record, recording_.problems.empty() ? "" : "\n  " + recording_.problems.front()));
    }
    finish_chargers();
    finish_vehicles();
    remark_on_chargers();
    if (balance_only_ > 0) {
        recording_.remarks.push_back(fmt::format(
            "{} messages held the grid power alone: what they say of sun and house is their balance", balance_only_));
    }
    if (without_power_ > 0) {
        recording_.remarks.push_back(fmt::format("{} messages held no usable power", without_power_));
    }
    return std::move(recording_);
}

}  // namespace

CaptureLine parse_capture_line(std::string_view line) {
    if (line.starts_with('{')) {
        return json_line(line);
    }
    const auto time_end = line.find(' ');
    if (time_end == std::string_view::npos) {
        throw Invalid(fmt::format("\"{}\": expected time, topic and payload; {}", shown(line), how_to_record));
    }
    const WallTime at = line_time(line.substr(0, time_end));
    const auto topic_begin = time_end + 1;
    const auto topic_end = std::min(line.find(' ', topic_begin), line.size());
    return {.at = at,
            .topic = std::string(line.substr(topic_begin, topic_end - topic_begin)),
            .payload = std::string(line.substr(std::min(line.size(), topic_end + 1)))};
}

Recording read_capture(std::istream& text, const std::string& name, const CaptureOptions& options) {
    Reader reader(name, options);
    std::string line;
    while (next_line(text, line) && reader.take(line)) {
    }
    return reader.finish();
}

}  // namespace policy_engine::simulation
