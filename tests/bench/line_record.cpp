#include "line_record.hpp"

#include <algorithm>
#include <set>

namespace bench {

namespace {

using namespace std::chrono_literals;

// A heartbeat whose unit has waited for this long is due; the master may send those due soon in one burst.
constexpr auto due_after = 800ms;

UnitNumber word_at(const Bytes& body, std::size_t index) {
    return static_cast<UnitNumber>(body.at(index) << 8U | body.at(index + 1));
}

bool is_heartbeat(const MasterFrame& frame) {
    return frame.body.size() >= 13 && frame.body[0] == 0xFB && frame.body[1] == 0xE0;
}
bool is_answer(const UnitFrame& frame) { return frame.body[0] == 0xFD && frame.body[1] == 0xE0; }
bool is_announcement(const UnitFrame& frame) { return frame.body[0] == 0xFD && frame.body[1] == 0xE2; }

UnitNumber receiver(const MasterFrame& heartbeat) { return word_at(heartbeat.body, 4); }
UnitNumber sender(const UnitFrame& frame) { return word_at(frame.body, 2); }
int echoed_ca(const UnitFrame& answer) { return word_at(answer.body, 7); }

double seconds(scheduling::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::map<UnitNumber, std::vector<Instant>> heartbeats(const LineRecord& record) {
    std::map<UnitNumber, std::vector<Instant>> arrivals;
    for (const auto& frame : record.from_master) {
        if (is_heartbeat(frame)) {
            arrivals[receiver(frame)].push_back(frame.at);
        }
    }
    return arrivals;
}

std::vector<double> periods_s(const LineRecord& record) {
    std::vector<double> periods;
    for (const auto& [unit, arrivals] : heartbeats(record)) {
        for (std::size_t i = 1; i < arrivals.size(); ++i) {
            periods.push_back(seconds(arrivals[i] - arrivals[i - 1]));
        }
    }
    return periods;
}

std::vector<double> turnarounds_ms(const LineRecord& record) {
    std::vector<double> found;
    std::map<UnitNumber, Instant> last_heartbeat;
    auto next_answer = record.from_units.begin();
    for (std::size_t i = 0; i < record.from_master.size(); ++i) {
        const auto& frame = record.from_master[i];
        const UnitFrame* before = nullptr;
        for (; next_answer != record.from_units.end() && next_answer->ended < frame.at; ++next_answer) {
            before = &*next_answer;
        }
        if (!is_heartbeat(frame)) {
            continue;
        }
        const UnitNumber unit = receiver(frame);
        const auto earlier = last_heartbeat.find(unit);
        const bool follows_another = before != nullptr && is_answer(*before) && sender(*before) != unit;
        if (follows_another && earlier != last_heartbeat.end() && before->ended - earlier->second >= due_after) {
            found.push_back(seconds(frame.at - before->ended) * 1000);
        }
        last_heartbeat[unit] = frame.at;
    }
    return found;
}

std::optional<Instant> first_heartbeat(const LineRecord& record) {
    const auto first = std::ranges::find_if(record.from_master, is_heartbeat);
    return first == record.from_master.end() ? std::nullopt : std::optional(first->at);
}

std::optional<Instant> first_acknowledgement(const LineRecord& record) {
    const auto first = std::ranges::find_if(record.from_units, is_answer);
    return first == record.from_units.end() ? std::nullopt : std::optional(first->ended);
}

std::optional<Instant> first_announcement(const LineRecord& record) {
    const auto first = std::ranges::find_if(record.from_units, is_announcement);
    return first == record.from_units.end() ? std::nullopt : std::optional(first->ended);
}

std::size_t units_acknowledging(const LineRecord& record) {
    std::set<UnitNumber> units;
    for (const auto& frame : record.from_units) {
        if (is_answer(frame)) {
            units.insert(sender(frame));
        }
    }
    return units.size();
}

std::optional<Instant> all_echoed(const LineRecord& record, const std::map<UnitNumber, int>& limits_ca) {
    std::set<UnitNumber> echoed;
    for (const auto& frame : record.from_units) {
        const auto wanted = limits_ca.find(sender(frame));
        if (is_answer(frame) && wanted != limits_ca.end() && echoed_ca(frame) == wanted->second) {
            echoed.insert(wanted->first);
            if (echoed.size() == limits_ca.size()) {
                return frame.ended;
            }
        }
    }
    return std::nullopt;
}

double seconds_above(const LineRecord& record, int Level::*sum_ca, int limit_ca, Instant from, Instant to) {
    scheduling::Duration above{};
    for (std::size_t i = 0; i < record.levels.size(); ++i) {
        const Instant begin = std::max(from, record.levels[i].at);
        const Instant end = i + 1 < record.levels.size() ? std::min(to, record.levels[i + 1].at) : to;
        if (record.levels[i].*sum_ca > limit_ca && begin < end) {
            above += end - begin;
        }
    }
    return seconds(above);
}

int highest_ca(const LineRecord& record, int Level::*sum_ca) {
    const auto highest = std::ranges::max_element(record.levels, {}, sum_ca);
    return highest == record.levels.end() ? 0 : (*highest).*sum_ca;
}

}  // namespace bench
