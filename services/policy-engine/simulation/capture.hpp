#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "contract/topics.hpp"
#include "policy-engine/types.hpp"

/// Days as `mosquitto_sub` records them.
namespace policy_engine::simulation {

/// One second of a site without its chargers.
struct SiteSecond {
    double pv_w = 0;
    double load_w = 0;                      ///< What the house uses beside the chargers.
    std::optional<double> battery_w;        ///< + discharge; none: no battery was heard.
    std::optional<double> battery_soc_pct;  ///< As recorded.
};

/// A stretch without a usable `ems/state`, bridged by a straight line.
struct Gap {
    WallTime from{};
    double length_s = 0;
    bool operator==(const Gap&) const = default;
};

/// Seconds from the first one of a day, the end exclusive.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool operator==(const Span&) const = default;
};

struct RecordedCharger {
    std::vector<Span> plugged;  ///< When a car was plugged in; unknown counts as plugged in.
    std::optional<int> phases;
    std::optional<double> max_a;
    std::optional<std::string> vin;
    double drawn_kwh = 0;  ///< What it took on the day that was recorded.
};

struct RecordedVehicle {
    std::optional<std::string> vin;
    std::vector<std::pair<std::size_t, double>> soc_pct;  ///< Changes, by second.
    std::optional<double> charge_limit_pct;               ///< The last one.
};

struct Recording {
    WallTime start{};                 ///< Of `seconds[0]`; a whole second.
    std::vector<SiteSecond> seconds;  ///< Never empty.
    Tariff tariff;                    ///< Every slot that was announced; of two for the same time the later news.
    std::string currency;             ///< Empty: not known.
    std::map<std::string, RecordedCharger> chargers;
    std::map<std::string, RecordedVehicle> vehicles;
    std::vector<Gap> gaps;              ///< Longer than `CaptureOptions::silence_s`.
    std::size_t messages = 0;           ///< Taken.
    std::size_t other_topics = 0;       ///< Lines of topics that are of no use here.
    std::size_t skipped_lines = 0;      ///< Lines that could not be used.
    std::vector<std::string> problems;  ///< The first of those: file, line, what is wrong, what was expected.
    std::vector<std::string> remarks;   ///< What a reader of results must know of how they were come by.
};

struct CaptureOptions {
    std::string base_topic = "twc";
    std::optional<WallTime> from;  ///< None: from the first `ems/state` on.
    std::optional<WallTime> to;    ///< Exclusive; none: to the last one.
    double silence_s = 90;         ///< States come at least every 60 s: until then a value just holds.
    double longest_gap_s = 900;    ///< Longer gaps are not bridged, but refused.
};

/// A line of a capture, taken apart.
struct CaptureLine {
    WallTime at{};
    std::string topic;
    std::string payload;
};

/// Reads the formats `%U %t %p`, `%I %t %p`, `%j` and `%J` of `mosquitto_sub -F`. Throws contract::Invalid.
CaptureLine parse_capture_line(std::string_view line);

/// Takes `ems/state`, `ems/tariff/state`, `charger/+/state` and `vehicle/+/state`. A bad line is reported in the result
/// and skipped; throws std::runtime_error, naming file and line where there is one, when the whole is of no use: no
/// site power, a gap too long to bridge, more than 31 days.
Recording read_capture(std::istream& text, const std::string& name, const CaptureOptions& options);

}  // namespace policy_engine::simulation
